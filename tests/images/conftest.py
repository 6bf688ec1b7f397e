from tests.datasets.conftest import market, pack, table

__all__ = ["market", "pack", "table"]
