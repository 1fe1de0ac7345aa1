"""JAX compiles fast rather than well: these models take a few small steps."""

import keras
import pytest


@pytest.fixture(scope="session", autouse=True)
def fast_compilation(request):
    if keras.backend.backend() != "jax":
        return
    import jax

    folder = request.config.cache.mkdir("jax_compilations")
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
