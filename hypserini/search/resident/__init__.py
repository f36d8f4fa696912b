"""A dense field on the devices that score it, and the candidates that are handed out there."""
