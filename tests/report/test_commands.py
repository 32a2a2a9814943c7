"""The commands of a report, run through the shell's own parser and against the requests they stand for."""

import re
import shlex
import shutil

import numpy as np
from astropy.io import fits

from skysift.cutouts.stages import Cutouts
from skysift.evaluation.protocols.knn import KNN
from skysift.evaluation.stages import Evaluate
from skysift.report.commands import script
from skysift.report.family import Family
from skysift.store.store import Store


def commands(store, artifact):
    """Variable -> words of each command."""
    found = {}
    for line in re.split(r"\n(?=[A-Z0-9]+=|skysift)", script(Family(store, artifact.id)).replace("\\\n", " ")):
        match = re.fullmatch(r"([A-Z0-9]+)=\$\((.*)\)", line)
        if match:
            found[match[1]] = shlex.split(match[2])
    return found


def test_the_chain_in_order_with_variables(chain):
    found = commands(chain.store, chain.evaluation)
    assert list(found) == ["CUTOUTS", "FEATURES", "CLUSTERS", "SUBSAMPLE", "MODEL", "FEATURES2", "EVALUATION"]
    files = sorted(map(str, chain.mosaics))
    assert found["CUTOUTS"] == ["skysift", "cutouts", "--mosaics", *files, "--window-size", "32"]
    assert found["CLUSTERS"] == ["skysift", "fake-cluster", "--features", "$FEATURES"]
    assert "--method simclr --set method.temperature=0.1" in " ".join(found["MODEL"])
    assert found["FEATURES2"][-2:] == ["--encoder", "$MODEL"]
    words = found["EVALUATION"]
    assert words[:2] == ["skysift", "evaluate"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options == {"--features": "$FEATURES2", "--draws": "2", "--cell-order": "11"}


def test_nested_and_joined_options(chain):
    store = chain.store
    stage = Evaluate(
        features=chain.labelled.id,
        draws=1,
        cell_order=11,
        protocol=("knn",),
        classes=("a b=faint+bright", "c=<i>very</i> & $bright$"),
        knn=KNN(ks=(1, 3), weights="similarity"),
    )
    words = commands(store, store.run(stage))["EVALUATION"]
    options = list(zip(words[2::2], words[3::2], strict=True))
    assert ("--classes", "a b=faint+bright,c=<i>very</i> & $bright$") in options
    assert ("--protocol", "knn") in options
    assert ("--set", "knn.ks=[1, 3]") in options
    assert ("--set", "knn.weights=similarity") in options
    assert len(options) == 7


def test_many_files_become_a_pattern_and_masks_are_named(chain, tmp_path):
    folder = tmp_path / "survey one"
    folder.mkdir()
    for number in range(3):
        shutil.copy(chain.mosaics[number % 2], folder / f"m{number}.fits")
    with (folder / "m2.fits").open("ab") as stream:  # another fingerprint, the same image
        stream.write(b"\0" * 2880)
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(3):
        fits.writeto(masks / f"m{number}_mask.fits", np.full((320, 320), number // 2, np.int16))  # two are equal
    store = Store(tmp_path / "store")
    made = store.run(Cutouts(mosaics=(str(folder),), window_size=(64,), mask=f"{masks}/{{stem}}_mask.fits"))
    text = script(Family(store, made.id))
    assert f"--mosaics '{folder}'/*.fits" in text
    assert f"--mask '{masks}/{{stem}}_mask.fits'" in text
    assert text.endswith('skysift report "$CUTOUTS"')
