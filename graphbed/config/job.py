"""JobConfig: everything a user says about one training job."""

import hashlib
import json
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from graphbed.config.choices import (
    Comparator,
    Device,
    FilterNegatives,
    Loss,
    Operator,
    OperatorInit,
    Optimizer,
    Regularizer,
    Schedule,
)
from graphbed.config.schedule import learning_rate_factor
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

_NOT_DECIDING = (
    *("job", "store", "edges", "num_epochs"),
    *("barrier", "priority", "share", "max_trainers"),
    *("lease", "checkpoint", "trainer"),
)
"""Keys of a job that may change when it is submitted again."""

ANY_RELATION = "*"
"""The relation name that stands for every relation of the data that no other entry names."""


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused, each field explained by the sentence below it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class EntityConfig(Section):
    """One entity type."""

    num_partitions: Annotated[int, Field(ge=1, le=256)] = 1
    """Into how many partitions the entities of this type are cut; a trainer holds about 2/num_partitions of them."""
    init_path: str | None = None
    """A Parquet file of initial vectors with the columns name and embedding, as `graphbed export` writes it; a relative
    path is looked up beside the configuration file. Entities that it does not name start at random. Only ingest reads
    it."""


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
    all_negs: bool = False
    """Every entity that the lease holds is a negative, instead of same-batch and uniform ones. For types of at most
    65,536 entities a lease."""
    lr: Positive | None = None
    """Learning rate of this relation's operator parameters; null = `relation_lr`."""


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
    stall_seconds: Positive = 300.0
    """How long a trainer may renew its lease without getting anywhere before its buckets are given to another. Seconds;
    waiting for a server that is away counts as progress, one call of a kernel and one file moved do not."""
    max_failures: Annotated[int, Field(ge=1, le=100)] = 3
    """How many trainers (or, if there is one, how often it) may fail a bucket, which is tried alone after its first
    failure, before it is skipped in that epoch; see `graphbed buckets list`."""


class CheckpointConfig(Section):
    """When manifests are written, and for how long what they name is kept."""

    interval_seconds: Positive = 60.0
    """A manifest is written when the newest is older than this and something was committed, and at each epoch's end.
    Seconds; losing the state store costs at most the commits since the newest manifest."""

    keep_last: Annotated[int, Field(ge=2)] = 3
    """The newest so many manifests are kept whole; two at least: a version goes when two manifests do without it."""

    keep_every: Annotated[int, Field(ge=0)] = 0
    """Also the first manifest at or after every so many completed epochs; 0 = none. Each costs up to a whole table."""

    keep_best: Annotated[int, Field(ge=0)] = 1
    """Also the so many manifests with the highest filtered MRR, as `graphbed eval` measured it: on the split `valid` if
    that was ever evaluated, else on `test`; 0 = none. Of those that were never evaluated none is kept for this."""


class TrainerConfig(Section):
    """How one trainer process works."""

    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Hogwild threads of one trainer; 0 = all cores it may use, shared among the trainers of a standalone run."""
    device: Device = Device.CPU
    """cpu: compiled kernels and Hogwild threads. cuda: one GPU, where the tables of a lease stay until it is trained;
    a row is updated once for some 30,000 edges. A trainer's GRAPHBED_TRAINER_DEVICE comes before this."""
    memory_limit_bytes: Annotated[int, Field(ge=0)] = 0
    """A lease that needs more is refused before its first byte is read; where two fit, one is fetched while the other
    is trained. 0 = four fifths of the machine or container."""
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
    operator_init: OperatorInit = OperatorInit.IDENTITY
    """With what the relations' operators begin: identity (they change nothing), or random (normal numbers of standard
    deviation `init_scale`, angles uniformly all around), which models with a regularizer need: see docs/model.md."""
    comparator: Comparator = Comparator.COS
    """How vectors are compared."""
    bias: bool = False
    """The first number of an embedding is a bias: added to the score, and left out by the comparator."""
    global_emb: bool = False
    """Learn one vector for each entity type that is added to all its embeddings before anything else."""
    max_norm: Positive | None = None
    """After its update, an embedding that is longer than this is shortened to it; null = no limit."""
    loss_fn: Loss = Loss.RANKING
    """The loss, summed over edges and over the sides that have negatives."""
    margin: NonNegative = 0.1
    """Ranking: by how much an edge should score above its negatives. Self-adversarial: added to the scores."""
    adversarial_temperature: NonNegative = 1.0
    """Self-adversarial loss only: its negatives weigh as the softmax of this times their scores."""
    regularizer: Regularizer = Regularizer.N3
    """What `regularization_coef` multiplies."""
    regularization_coef: NonNegative = 0.0
    """λ of the regularizer over the raw factors (lhs, operator parameters, rhs), once for each edge and side: λ·Σ|a|³
    (N3; moduli for complex operators) or λ·Σa² (L2); 0 = none."""
    num_epochs: Annotated[int, Field(ge=1)] = 1
    """How often each edge is trained."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Edges that a thread takes at a time, a multiple of the edges of a chunk; null = the number of chunks that suits
    the kernels."""
    num_batch_negs: Annotated[int, Field(ge=0, le=4096)] = 50
    """Same-batch negatives: edges are taken in chunks of this many (`num_uniform_negs` if 0), and the entities of a
    chunk are negatives of one another."""
    num_uniform_negs: Annotated[int, Field(ge=0, le=65536)] = 50
    """Negatives drawn uniformly from everything of the type that the lease holds; shared by the edges of a chunk."""
    degree_weighted_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of `num_uniform_negs` that is drawn by degree instead: the entities of random edges of the lease."""
    other_side_negs: bool = False
    """Where both sides are of one type, the entities of a chunk's other side take the place of as many uniform
    negatives: so every query meets its own entity. Needs as many uniform negatives as a chunk has edges."""
    filter_negatives: FilterNegatives = FilterNegatives.NONE
    """Whether a candidate that makes another known training edge is left out: none, chunk (edges of the same chunk), or
    bucket (edges of the same lease)."""
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
    """Exponential schedule: both learning rates are multiplied by this after each epoch."""
    lr_schedule: Schedule = Schedule.EXPONENTIAL
    """How the learning rates fall: by `lr_decay`, or along a line or half a cosine that would reach 0 after
    `num_epochs`."""
    lr_warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """The learning rates rise linearly during this many first epochs."""

    num_groups: Annotated[int | None, Field(ge=1, le=256)] = None
    """G: each epoch deals the partitions of a side into this many groups and a lease covers two of them, so a trainer
    holds 2/G of the table and at most G/2 trainers work at once. null = half as many groups as partitions, but a group
    for each of the first four partitions: groups that change from epoch to epoch keep the quality of one partition."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Decides the partitioning, the initial embeddings, the shuffles and the negatives."""
    deterministic: bool = False
    """One lease at a time, one thread, on the CPU: every bit of the result depends on the configuration and the graph
    alone, whatever is killed and resumed on the way. Slower; more than one trainer is no use."""
    barrier: bool = False
    """No lease of an epoch starts before every bucket has the epoch before behind it. Otherwise trainers go on where
    nothing of the current epoch is due."""

    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Trainers work for a job only while no job of a higher priority has work for them."""
    share: Positive = 1.0
    """Among jobs of one priority, live leases are shared out in proportion to this."""
    max_trainers: Annotated[int | None, Field(ge=1, le=1024)] = None
    """Most trainers that work for this job at once; null = as many as there is work for."""

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
            if relation.operator.is_complex and self.dimension % 2:
                raise ValueError(f"dimension: {self.dimension} is odd, and {relation.operator} needs an even one")
        self._vectors_fit()
        self._partition_counts()
        self._columns_name_relations()
        return self

    def _vectors_fit(self) -> None:
        compared = self.dimension - self.bias
        if compared < 1:
            raise ValueError("bias: dimension 1 leaves nothing to compare")
        if self.comparator is Comparator.COMPLEX_L1 and compared % 2:
            raise ValueError(f"comparator: complex_l1 compares pairs of numbers, and {compared} is odd")
        widest = max(relation.operator.width(self.dimension) for relation in self.relations)
        if widest > 1 << 20:
            raise ValueError(f"dimension: {self.dimension} gives a matrix of {widest} numbers for each relation")
        chunk = self.num_batch_negs or self.num_uniform_negs
        if self.batch_size is not None and self.batch_size % chunk:
            raise ValueError(
                f"batch_size: {self.batch_size} is not a multiple of {chunk}, the edges of a chunk "
                f"({'num_batch_negs' if self.num_batch_negs else 'num_uniform_negs'})"
            )
        uniform = self.num_uniform_negs - round(self.degree_weighted_fraction * self.num_uniform_negs)
        if self.other_side_negs and uniform < chunk:
            raise ValueError(
                f"other_side_negs: they take the place of {chunk} uniform negatives, the edges of a chunk, and "
                f"num_uniform_negs and degree_weighted_fraction leave {uniform}"
            )

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

    def learning_rate_factor(self, epoch: int) -> float:
        """The factor of both learning rates in `epoch`, which counts from 0."""
        return learning_rate_factor(
            self.lr_schedule,
            epoch=epoch,
            num_epochs=self.num_epochs,
            decay=self.lr_decay,
            warmup_epochs=self.lr_warmup_epochs,
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
        others: dict[str, bool] = dict.fromkeys(_NOT_DECIDING, True)
        return self.model_dump(mode="json", exclude={**others, "entities": {"__all__": {"init_path": True}}})
