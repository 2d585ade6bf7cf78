"""Container images without a container engine: written by hand, or built by buildah."""
