from tests.methods.examples import Example
from tests.noise import BASELINE, changed

BLOCK = changed(BASELINE, settings__batch={"groups": 4, "identities": 2, "images": 4})
EXAMPLES = {"baseline": Example(BLOCK)}
