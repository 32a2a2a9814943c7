"""A YAML of named stages: what is missing is done, in order."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "catalogue": ["STAGES", "stage_class"],
        "definition": ["Pipeline"],
        "demonstration": ["make_folder", "run_demo"],
        "planning": ["Step", "plan"],
        "execute": ["run_pipeline"],
        "compose": ["labelled_features"],
    },
)
