"""A slice of the fuzzing: other models in every version of the library."""

import keras
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings

from tests.fuzz.configurations import configurations
from tests.fuzz.properties import Refused
from tests.fuzz.properties import check

# As many as half a minute allows.
EXAMPLES = {"torch": 30, "tensorflow": 4, "jax": 4}


@settings(
    max_examples=EXAMPLES[keras.backend.backend()],
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(configurations())
def test_any_model_holds_what_the_library_promises(configuration):
    try:
        check(configuration)
    except Refused:
        pass
