"""Residency: tables stay on the device while a lease is trained."""

from dataclasses import dataclass, field

import numpy as np
import torch

from graphbed.model.device.updates import State
from graphbed.model.kernel import SideParameters, Table


@dataclass(slots=True)
class Residency:
    """The tables that are on `device`. On the CPU the tensors are the arrays themselves."""

    device: torch.device
    _tables: dict[int, tuple[Table, State]] = field(default_factory=dict)

    def table(self, table: Table) -> State:
        """The table on the device, copied there when it is first asked for."""
        if id(table.embeddings) not in self._tables:
            state = State(
                values=torch.from_numpy(table.embeddings).to(self.device),
                sums=torch.from_numpy(table.sums).to(self.device),
                trainable=table.trainable_rows,
            )
            # The table is kept too, so that its id stays its own.
            self._tables[id(table.embeddings)] = table, state
        return self._tables[id(table.embeddings)][1]

    def release(self) -> None:
        """Copy all tables back into their arrays and forget them."""
        for table, state in self._tables.values():
            table.embeddings[...] = state.values.cpu().numpy()
            table.sums[...] = state.sums.cpu().numpy()
        self._tables.clear()


@dataclass(slots=True)
class Borrowed:
    """Parameters on the device during one call: others may change the arrays meanwhile, so differences go back."""

    parameters: SideParameters
    state: State
    _values: np.ndarray
    _sums: np.ndarray

    @classmethod
    def take(cls, parameters: SideParameters, device: torch.device) -> "Borrowed":
        values, sums = parameters.values.copy(), parameters.sums.copy()
        state = State(
            values=torch.from_numpy(values.copy()).to(device),
            sums=torch.from_numpy(sums.copy()).to(device),
            trainable=len(values),
        )
        return cls(parameters, state, values, sums)

    def give_back(self) -> None:
        """Add what was trained to the arrays."""
        self.parameters.values[...] += self.state.values.cpu().numpy() - self._values
        self.parameters.sums[...] += self.state.sums.cpu().numpy() - self._sums
