from tests.methods.examples import Example
from tests.noise import MDPR, changed

BLOCK = changed(MDPR, settings__batch={"groups": 4, "identities": 2, "images": 4})
EXAMPLES = {"mdpr": Example(BLOCK)}
