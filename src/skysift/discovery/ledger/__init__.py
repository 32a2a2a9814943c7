"""The ledger: what people think of cutouts, who said it and when; append-only, on SQLite or PostgreSQL."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "address": ["default_ledger"],
        "kappa": ["Agreement", "agreement", "cohen_kappa", "fleiss_kappa"],
        "book": ["Ledger"],
        "exchange": ["export_ratings", "import_ratings"],
        "rating": ["JUDGEMENTS", "Rating"],
    },
)
