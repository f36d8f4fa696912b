"""Training of Hypencoders and bi-encoders on transformers' Trainer."""
