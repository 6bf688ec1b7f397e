import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as spawn

from pipeline.batches.loading import Loader
from pipeline.training import reduction
from pipeline.training.embed import embed
from pipeline.training.workers import Workers
from tests.training.toy import CPU, Toy, make_data

SIZE = 3


def _tensors(rank):
    """Tensors of three dtypes, in an order that mixes them, some larger than a bucket of 64 bytes."""
    generator = torch.Generator().manual_seed(rank)
    return [
        torch.randn(3, 4, generator=generator),
        torch.full((2,), rank + 1),
        torch.randn(40, generator=generator, dtype=torch.float64),
        torch.randn((), generator=generator),
        torch.randn(5, 5, generator=generator).T,
    ]


def _talk(rank, folder):
    torch.set_num_threads(1)
    reduction.BUCKET_BYTES = 64
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=SIZE)
    here = Workers.current()
    summed, followed = _tensors(rank), _tensors(rank)
    here.all_reduce_sum(summed[0])
    here.broadcast_from_first(followed)
    joined = here.all_gather(torch.full((2, 3), rank))
    torch.manual_seed(0)
    images, _ = make_data()
    embedder = Toy(num_classes=6, groups=1, seed=0).embedder()
    loader = Loader(images, np.ones(48), np.zeros(48), None, CPU, torch.float32)
    embedded = embed(embedder, loader, np.arange(48), batch_size=8, workers=here)
    heard = {"rank": here.rank, "size": here.size, "is_first": here.is_first, "joined": joined, "embedded": embedded}
    here.check_equal("the epoch", 3)
    with pytest.raises(ValueError, match="the workers differ in the epoch") as differ:
        here.check_equal("the epoch", 3 if rank < 2 else 0)
    heard["differ"] = str(differ.value)
    heard["once"] = here.run_on_first(lambda: f"computed by {rank}")
    with pytest.raises(LookupError, match="no cluster, says 0") as failed:
        here.run_on_first(_refuse_on(rank))
    heard["failed"] = str(failed.value)
    torch.save({**heard, "summed": summed[0], "followed": followed}, folder / f"worker-{rank}")
    here.barrier()
    dist.destroy_process_group()


def _refuse_on(rank):
    def refuse():
        raise LookupError(f"no cluster, says {rank}")

    return refuse


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What each of three gloo processes heard of the others."""
    folder = tmp_path_factory.mktemp("workers")
    spawn.spawn(_talk, (folder,), nprocs=SIZE)
    return [torch.load(folder / f"worker-{rank}") for rank in range(SIZE)]


def equal(ours, theirs):
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.ddp
def test_each_knows_its_place_and_one_writes(heard):
    assert [(one["rank"], one["size"], one["is_first"]) for one in heard] == [
        (0, 3, True),
        (1, 3, False),
        (2, 3, False),
    ]


@pytest.mark.ddp
def test_a_sum_is_that_of_all_workers_and_the_same_bits_everywhere(heard):
    expected = torch.stack([_tensors(rank)[0] for rank in range(SIZE)]).sum(0)
    torch.testing.assert_close(heard[0]["summed"], expected)
    assert all(torch.equal(one["summed"], heard[0]["summed"]) for one in heard)


@pytest.mark.ddp
def test_all_follow_the_first(heard):
    assert all(equal(one["followed"], _tensors(0)) for one in heard)


@pytest.mark.ddp
def test_parts_are_joined_in_the_order_of_ranks(heard):
    expected = torch.arange(SIZE).repeat_interleave(2)[:, None].expand(-1, 3)
    assert all(torch.equal(one["joined"], expected) for one in heard)


@pytest.mark.ddp
def test_embeddings_are_dealt_back_to_every_worker_bit_by_bit(heard):
    torch.manual_seed(0)
    images, _ = make_data()
    embedder = Toy(num_classes=6, groups=1, seed=0).embedder()
    loader = Loader(images, np.ones(48), np.zeros(48), None, CPU, torch.float32)
    alone = embed(embedder, loader, np.arange(48), batch_size=8, workers=Workers(0, 1))
    assert all(torch.equal(one["embedded"], alone) for one in heard)


def test_one_worker_talks_to_nobody():
    alone = Workers.current()
    assert alone == Workers(0, 1)
    tensors = _tensors(0)
    alone.all_reduce_sum(tensors[0])
    alone.broadcast_from_first(tensors)
    alone.barrier()
    assert equal(tensors, _tensors(0))
    assert alone.all_gather(tensors[0]) is tensors[0]


def test_workers_that_differ_all_learn_it(heard):
    for worker in heard:
        assert "(worker 0: 3, worker 1: 3, worker 2: 0)" in worker["differ"]


def test_what_is_computed_once_reaches_every_worker_and_so_does_its_error(heard):
    assert {there["once"] for there in heard} == {"computed by 0"}
    assert len({there["failed"] for there in heard}) == 1
    assert Workers(0, 1).run_on_first(lambda: 5) == 5
