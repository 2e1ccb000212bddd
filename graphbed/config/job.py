"""JobConfig: everything a user says about one training job."""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from graphbed.errors import BadName
from graphbed.graph.names import check_name


def _name(text: str) -> str:
    try:
        return check_name(text)
    except BadName as error:  # as ValueError it is reported with the key that holds the name
        raise ValueError(str(error)) from None


Name = Annotated[str, AfterValidator(_name)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

ANY_RELATION = "*"
"""The relation name that stands for every relation of the data that no other entry names."""


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused, each field explained by the sentence below it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Operator(StrEnum):
    """What a relation does to an entity's vector before it is compared."""

    NONE = "none"
    TRANSLATION = "translation"
    DIAGONAL = "diagonal"
    COMPLEX_DIAGONAL = "complex_diagonal"


class Comparator(StrEnum):
    """How two vectors become a score; higher is more similar."""

    DOT = "dot"
    COS = "cos"


class Loss(StrEnum):
    """How the score of an edge and the scores of its negatives become a loss."""

    RANKING = "ranking"
    LOGISTIC = "logistic"
    SOFTMAX = "softmax"


class Optimizer(StrEnum):
    """Adagrad with one sum of squares for each row (4 bytes an entity), or for each element (4·D bytes an entity)."""

    ROW_ADAGRAD = "row_adagrad"
    ADAGRAD = "adagrad"


class EntityConfig(Section):
    """One entity type."""

    num_partitions: Annotated[int, Field(ge=1, le=256)] = 1
    """Into how many partitions the entities of this type are cut; a trainer holds about 2/num_partitions of them."""


class RelationConfig(Section):
    """One relation, or a template for all relations of the data that no other entry names."""

    name: str
    """The relation as it is written in the data, or "*" for every relation that no other entry names."""
    lhs: Name
    """Entity type of the left side."""
    rhs: Name
    """Entity type of the right side."""
    operator: Operator = Operator.NONE
    """Applied to the right side; with `reciprocal`, to the query of either side by its own set of parameters."""
    reciprocal: bool = False
    """Learn two parameter sets: one for queries of right sides, one for those of left sides; candidates use none."""
    weight: Positive = 1.0
    """Multiplies the loss of this relation's edges."""


class EdgeFiles(Section):
    """The files of one split and how to read them."""

    files: Annotated[list[str], Field(min_length=1)]
    """Paths of tab-separated files of UTF-8 text, plain, gzip (.gz) or xz (.xz); relative ones are looked up beside the
    configuration file."""
    columns: list[str] = ["lhs", "relation", "rhs"]
    """What each column holds: lhs, relation, rhs, weight, or "-" for a column to skip. Without a relation column there
    must be exactly one entry in `relations`, and it must not be "*"."""

    @model_validator(mode="after")
    def _columns_make_sense(self) -> Self:
        known = [column for column in self.columns if column != "-"]
        for column in known:
            if column not in ("lhs", "relation", "rhs", "weight"):
                raise ValueError(f"columns: {column!r} is none of lhs, relation, rhs, weight, -")
        if len(set(known)) != len(known):
            raise ValueError("columns: a column is named twice")
        if not {"lhs", "rhs"} <= set(known):
            raise ValueError("columns: lhs and rhs must be among them")
        return self


class LeaseConfig(Section):
    """How long work may be out."""

    ttl_seconds: Positive = 30.0
    """How long a trainer may be silent before its buckets are given to another. Seconds; renewed every third of it."""


class CheckpointConfig(Section):
    """When manifests are written."""

    interval_seconds: Positive = 60.0
    """A manifest is written when the newest is older than this and something was committed, and at each epoch's end.
    Seconds; losing the state store costs at most the commits since the newest manifest."""


class TrainerConfig(Section):
    """How one trainer process works."""

    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Hogwild threads of one trainer; 0 = all cores it may use, shared among the trainers of a standalone run."""
    memory_limit_bytes: Annotated[int, Field(ge=0)] = 0
    """A lease that needs more is refused before its first byte is read; 0 = four fifths of the machine or container."""
    parameter_sync_seconds: Positive = 0.5
    """How often a trainer exchanges relation parameters with the parameter server while it trains. Seconds."""


class JobConfig(Section):
    """One training job: the graph, the model, how it is trained, and where it is kept."""

    job: Name
    """Name of the job; its checkpoints lie under jobs/<job>/ in the store."""
    graph: Name
    """Name of the ingested graph, under graphs/<graph>/ in the store."""
    store: str = "./store"
    """Where graphs and checkpoints are kept: a directory (relative ones beside the configuration file), file://…, or
    s3://bucket/prefix with endpoint and keys from the environment. A cluster uses the store of its servers instead."""

    entities: Annotated[dict[Name, EntityConfig], Field(min_length=1)]
    """The entity types by name. All types of one side that are cut must have one number of partitions."""
    relations: Annotated[list[RelationConfig], Field(min_length=1)]
    """The relations; relations of the data that no entry matches are an error at ingest."""
    edges: dict[Name, EdgeFiles] = {}
    """Split name → its files; training uses `train`, evaluation any other. Only ingest reads this."""

    dimension: Annotated[int, Field(ge=1, le=65536)]
    """D, numbers in one embedding (a complex operator uses the first half as real, the second as imaginary parts)."""
    init_scale: Positive = 1e-3
    """Standard deviation of the initial embeddings."""
    comparator: Comparator = Comparator.COS
    """How vectors are compared."""
    loss_fn: Loss = Loss.RANKING
    """The loss, summed over edges and over the sides that have negatives."""
    margin: NonNegative = 0.1
    """Ranking loss only: by how much an edge should score above its negatives."""
    regularization_coef: NonNegative = 0.0
    """λ of N3: λ·Σ|a|³ over the raw factors (lhs, operator parameters, rhs), once for each edge and side; 0 = none."""

    num_epochs: Annotated[int, Field(ge=1)] = 1
    """How often each edge is trained."""
    batch_size: Annotated[int, Field(ge=1)] = 1000
    """Edges between two looks at the stop flag and the progress counters."""
    num_batch_negs: Annotated[int, Field(ge=0, le=4096)] = 50
    """Same-batch negatives: edges are taken in chunks of this many (`num_uniform_negs` if 0), and the entities of a
    chunk are negatives of one another."""
    num_uniform_negs: Annotated[int, Field(ge=0, le=65536)] = 50
    """Negatives drawn uniformly from everything of the type that the lease holds; shared by the edges of a chunk."""
    disable_lhs_negs: bool = False
    """Do not corrupt the left side."""
    disable_rhs_negs: bool = False
    """Do not corrupt the right side."""
    optimizer: Optimizer = Optimizer.ROW_ADAGRAD
    """How rows of the embedding tables are updated. Relation parameters always use Adagrad by element."""
    lr: Positive = 1e-2
    """Learning rate of the embeddings."""
    relation_lr: Positive | None = None
    """Learning rate of the relation parameters; null = `lr`."""
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Both learning rates are multiplied by this after each epoch."""

    num_groups: Annotated[int | None, Field(ge=1, le=256)] = None
    """G: each epoch deals the partitions of a side into this many groups and a lease covers two of them, so a trainer
    holds 2/G of the table and at most G/2 trainers work at once. null = half as many groups as partitions, but a group
    for each of the first four partitions: groups that change from epoch to epoch keep the quality of one partition."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Decides the partitioning, the initial embeddings, the shuffles and the negatives."""

    lease: LeaseConfig = LeaseConfig()
    """How long work may be out."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When manifests are written."""
    trainer: TrainerConfig = TrainerConfig()
    """How one trainer process works."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.disable_lhs_negs and self.disable_rhs_negs:
            raise ValueError("disable_lhs_negs, disable_rhs_negs: one side must keep its negatives")
        if self.num_batch_negs == 0 and self.num_uniform_negs == 0:
            raise ValueError("num_batch_negs, num_uniform_negs: one of them must be above 0")
        names = [relation.name for relation in self.relations]
        if len(set(names)) != len(names):
            raise ValueError("relations: a name occurs twice")
        for relation in self.relations:
            for side in (relation.lhs, relation.rhs):
                if side not in self.entities:
                    raise ValueError(
                        f"relations: {relation.name} uses the entity type {side}, which is not in entities"
                    )
            if relation.operator is Operator.COMPLEX_DIAGONAL and self.dimension % 2:
                raise ValueError(f"dimension: {self.dimension} is odd, and complex_diagonal needs an even one")
        self._partition_counts()
        self._columns_name_relations()
        return self

    def _columns_name_relations(self) -> None:
        single = len(self.relations) == 1 and self.relations[0].name != ANY_RELATION
        for split, files in self.edges.items():
            if "relation" not in files.columns and not single:
                raise ValueError(
                    f"edges.{split}.columns: there is no relation column, so `relations` must have exactly one entry, "
                    f"and its name must not be {ANY_RELATION}"
                )

    def _partition_counts(self) -> None:
        for side in ("lhs", "rhs"):
            types = {getattr(relation, side) for relation in self.relations}
            counts = {self.entities[name].num_partitions for name in types} - {1}
            if len(counts) > 1:
                raise ValueError(
                    f"entities: the types on the {side} are cut into {sorted(counts)} partitions; "
                    "all that are cut must have one number"
                )

    def digest(self) -> str:
        """SHA-256 of what decides the result: not of where things lie, nor of how long the job runs."""
        text = json.dumps(self._deciding(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: "JobConfig") -> list[str]:
        """Keys that decide the result and differ, as `key: mine, not theirs`; empty = one may resume the other."""
        mine, theirs = self._deciding(), other._deciding()
        return [
            f"{key} is {json.dumps(mine[key])}, was {json.dumps(theirs[key])}"
            for key in sorted(mine)
            if mine[key] != theirs[key]
        ]

    def _deciding(self) -> dict[str, object]:
        return self.model_dump(
            mode="json", exclude={"job", "store", "edges", "num_epochs", "lease", "checkpoint", "trainer"}
        )
