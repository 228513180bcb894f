"""Train the bundled attribute models: python tools/make_attribute_models.py [NAME …].

Every direction of the catalogue (or those named) at layer 5 of ffhq-mobile, on generated faces with
the library's own settings, in two to three minutes each on one core. Writes half-precision files to
edits/attributes/models/ and the share of held-out displacements that they explain to
docs/results/attribute-models.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from directions.catalog import available, find
from edits.attributes.catalog import FOLDER, file_name
from edits.attributes.files import save_attribute_model
from edits.attributes.training import AttributeSettings, train_attribute_model
from invert.loading import load_generator

NETWORK, LAYER = "ffhq-mobile", 5
RESULTS = Path(__file__).parent.parent / "docs" / "results" / "attribute-models.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="directions; the whole catalogue by default")
    names = parser.parse_args().names or available()
    generator = load_generator(NETWORK)
    settings = AttributeSettings()
    FOLDER.mkdir(exist_ok=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)

    for name in names:
        began = time.perf_counter()
        model = train_attribute_model(generator, find(name), LAYER, settings=settings)
        save_attribute_model(model.half(), FOLDER / file_name(name, LAYER, NETWORK))
        results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        results[name] = {key: model.training[key] for key in ("explained", "ridge", "settings")}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        shares = {
            c: round(parts["features"], 3) for c, parts in model.training["explained"].items()
        }
        print(f"{name:16} {time.perf_counter() - began:5.0f} s  {shares}", flush=True)


if __name__ == "__main__":
    main()
