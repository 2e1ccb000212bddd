"""The screen: a job on a terminal of any size from 60 × 16, as lines that fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from graphbed.cli.watching.events import status_word
from graphbed.cli.watching.grid import DONE, EMPTY, PART, WAITING, draw
from graphbed.v1 import lockserver_pb2

GRID_WIDTH = 32
_GRID_LINES = 16
"""A terminal of 24 lines shows 16 partitions one by one, and three events."""
_AROUND = 5
"""Lines that are neither grid nor events: two of the job, one above each part, one for the losses."""
_EVENT_LINES = 2
"""At least; more where the grid leaves room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is shown at one moment."""

    reply: lockserver_pb2.GetJobResponse
    events: Sequence[tuple[str, str]]
    """Time of day and text, the newest last."""
    clock: str
    """Time of day."""
    waiting: str = ""
    """Why the answer is an old one; empty: it is not."""


def screen(view: View, *, width: int, height: int) -> list[Text]:
    """At most `height` lines of at most `width` characters."""
    middle = max(height - _AROUND - _EVENT_LINES, 4)
    middle = min(middle, max(_GRID_LINES, middle // 2))
    lines = [*_head(view, width), *_middle(view.reply, width, middle), _losses(view.reply)]
    lines.append(_rule("events", width))
    room = max(height - len(lines), 1)
    lines += [Text.assemble((f"{at} ", "dim"), text) for at, text in view.events[-room:]]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines[:height]


def _head(view: View, width: int) -> list[Text]:
    summary = view.reply.summary
    share = summary.edges_done / summary.edges_total if summary.edges_total else 1.0
    trainers = len({lease.trainer_id for lease in view.reply.leases})
    first = Text.assemble(
        (summary.job, "bold"),
        f"  {status_word(view.reply)}  epoch {min(summary.epoch + 1, summary.num_epochs)}/{summary.num_epochs}"
        f"  {_count(trainers, 'trainer')}  {_count(summary.live_leases, 'lease')}"
        f"  checkpoint {view.reply.manifest_sequence or 'none'}",
    )
    if summary.buckets_quarantined:
        first.append(f"  {summary.buckets_quarantined} quarantined", "bold red")
    first.pad_right(max(width - len(first) - len(view.clock), 1))
    first.append(view.clock, "dim")
    if view.waiting:
        return [first, Text(f"waiting: {view.waiting}", "bold yellow")]
    numbers = f" {share:6.1%}  {_speed(view.reply)}  {_left(view.reply)}"
    bar = max(width - len(numbers), 10)
    full = int(share * bar)
    return [first, Text.assemble(("━" * full, "green"), ("━" * (bar - full), "dim"), numbers)]


def _middle(reply: lockserver_pb2.GetJobResponse, width: int, height: int) -> list[Text]:
    epoch = min(reply.summary.epoch, max(reply.summary.num_epochs - 1, 0))
    leased = {(bucket.lhs, bucket.rhs) for lease in reply.leases for bucket in lease.buckets}
    cells = draw(reply.buckets, epoch=epoch, leased=leased, width=GRID_WIDTH, height=height)
    legend = f"{DONE} done {PART} part {WAITING} to do {EMPTY} none"
    left = [Text(f"buckets, epoch {epoch + 1}", "dim")]
    left += [Text.assemble(*((cell.mark, _style(cell.mark, cell.leased)) for cell in row)) for row in cells]
    if len(left) <= height:
        left.append(Text(legend, "dim"))
    right = _trainers(reply, width - GRID_WIDTH - 2, height)
    lines = []
    for place in range(min(max(len(left), len(right)), height + 1)):
        line = left[place].copy() if place < len(left) else Text()
        line.pad_right(GRID_WIDTH + 2 - len(line))
        lines.append(line + right[place] if place < len(right) else line)
    return lines


def _trainers(reply: lockserver_pb2.GetJobResponse, width: int, height: int) -> list[Text]:
    name_width = max(width - 29, 8)
    lines = [Text(f"{'trainer':{name_width}} phase   epoch buckets done", "dim")]
    live = {lease.lease_id for lease in reply.leases}
    leases = sorted(reply.leases, key=lambda lease: (lease.trainer_id, lease.parent_lease_id in live))
    shown = leases if len(leases) <= height else leases[: height - 1]
    for lease in shown:
        phase = lockserver_pb2.Phase.Name(lease.progress.phase).removeprefix("PHASE_").lower()
        phase = "start" if phase == "unspecified" else phase
        done = f"{lease.progress.edges / lease.edges:4.0%}" if lease.edges else "   -"
        name = lease.trainer_id if len(lease.trainer_id) <= name_width else f"…{lease.trainer_id[-name_width + 1 :]}"
        lines.append(
            Text.assemble(
                f"{name:{name_width}} ",
                (f"{phase:7}", _PHASE_STYLES.get(phase, "")),
                f" {lease.epoch + 1:5} {len(lease.buckets):7} {done}",
            )
        )
    if len(shown) < len(leases):
        lines.append(Text(f"and {len(leases) - len(shown)} more", "dim"))
    if not leases:
        lines.append(Text("no lease is live", "dim"))
    return lines


_PHASE_STYLES = {"fetch": "cyan", "train": "green", "store": "magenta", "commit": "bold magenta", "waiting": "yellow"}


def _style(mark: str, leased: bool) -> str:
    if leased:
        return "cyan"
    return "green" if mark == DONE else "dim"


def _losses(reply: lockserver_pb2.GetJobResponse) -> Text:
    recent = [epoch for epoch in reply.epochs if epoch.edges][-4:]
    told = "  ".join(f"{epoch.epoch + 1}: {epoch.loss / epoch.edges:.4f}" for epoch in recent)
    return Text.assemble(("loss per edge by epoch  ", "dim"), told or "nothing committed yet")


def _rule(title: str, width: int) -> Text:
    return Text(f"─ {title} ".ljust(width, "─"), "dim")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _speed(reply: lockserver_pb2.GetJobResponse) -> str:
    return f"{reply.edges_per_second:,.0f} edges/s" if reply.HasField("edges_per_second") else "- edges/s"


def _left(reply: lockserver_pb2.GetJobResponse) -> str:
    if not reply.HasField("time_left"):
        return "time left unknown"
    minutes, seconds = divmod(int(reply.time_left.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h left"
    if hours:
        return f"{hours} h {minutes:02} min left"
    return f"{minutes} min {seconds:02} s left" if minutes else f"{seconds} s left"
