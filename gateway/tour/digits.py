"""First stop: the demo's classifier, asked by many callers at once."""

import json
from collections import Counter

from gateway.tour.guide import Guide
from gateway.tour.load import Load, Question
from gateway.tour.site import Site

MODEL = "digits"
_IMAGES = 400
_CALLERS = 8


def images(most: int) -> tuple[list[bytes], list[int]]:
    """Requests with one handwritten digit each, and what it is."""
    from sklearn.datasets import load_digits  # with SciPy and all; of the demo's packages

    digits = load_digits()
    pixels = digits.images[-most:].astype("float32")
    tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 8, 8]}
    bodies = [
        json.dumps({"inputs": [{**tensor, "data": image.ravel().tolist()}]}).encode()
        for image in pixels
    ]
    return bodies, [int(label) for label in digits.target[-most:]]


def asked(site: Site, model: str, most: int) -> tuple[list[Question], list[int]]:
    bodies, labels = images(most)
    return site.questions(f"/v2/models/{model}/infer", bodies), labels


def label(body: bytes) -> int:
    """Which digit an answer says it is."""
    scores = json.loads(body)["outputs"][0]["data"]
    return max(range(len(scores)), key=scores.__getitem__)


async def visit(site: Site, guide: Guide) -> None:
    guide.stop(f"{_IMAGES} handwritten digits, from 50 callers")
    with guide.under_way() as ticker:
        ticker.tell(f"all versions of {MODEL} are waited for …")
        await site.need(MODEL, "1", "2", "3")
    questions, labels = asked(site, MODEL, _IMAGES)
    seen = await Load(site.address, questions, callers=_CALLERS, once=True).run()
    right = sum(label(body) == labels[index] for index, body in seen.bodies.items())
    guide.say(
        f"{seen.answered} answers, {right} of them right, {seen.failed} failures;"
        f" half of them within {seen.quantile(0.5):.1f} ms, all but one in a hundred within"
        f" {seen.quantile(0.99):.1f} ms."
    )
    shares = Counter({arm: times / seen.arms.total() for arm, times in seen.arms.items()})
    guide.say(
        "Each caller stays with one version, as deploy/demo/routes/digits.yaml has it: "
        + ", ".join(f"{arm} {share:.0%}" for arm, share in shares.most_common())
        + "."
    )
