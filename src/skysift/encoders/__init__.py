"""Encoders: backbones from timm, transformers and our own checkpoints, with their preprocessing."""

from skysift._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_torchvision": ["ensure"],
        "backbones": ["build_backbone"],
        "card": ["model_card"],
        "checkpoint": ["load_checkpoint", "save_encoder"],
        "encoder": ["Description", "Encoder"],
        "layouts": ["load_layout", "read_tensors"],
        "load": ["load_encoder"],
        "stages": ["ImportWeights"],
        "text": ["TextTower", "load_text_tower"],
    },
)
