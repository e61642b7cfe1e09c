import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocrop.batch.inputs import Inputs
from autocrop.batch.naming import OutputNames
from autocrop.batch.options import Options
from autocrop.batch.plan import FORMER_CROP, FORMER_EXPLANATION, Plan
from autocrop.batch.presets import PRESETS
from autocrop.batch.sources import Source, Sources
from autocrop.batch.targets import make_targets

TWO = make_targets(["1:1", "1.5"], [])


def write_outputs(plan, photo):
    """Write a copy of *photo* as the best crop of each task."""
    for job in plan.jobs():
        for task in job.tasks:
            task.outputs[0].file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, task.outputs[0].file)


@pytest.mark.parametrize("name", ["{stem}_small", "crops/{stem}", "small of {stem}{rank}"])
def test_word_in_the_template_marks_crops(photo, tmp_path, name):
    """Crops named by a template with a word are not cropped again next to the photos; with -o they are photos."""
    shutil.copy(photo, tmp_path / "photo_smaller.jpg")
    options = Options(name=name, format=".png")
    write_outputs(Plan.from_photos(Sources(recursive=True).find([tmp_path]), options), photo)
    second = Plan.from_photos(Sources(recursive=True).find([tmp_path]), options)
    assert [job.path.name for job in second.jobs()] == ["photo.jpg", "photo_smaller.jpg"]
    assert second.ignored[FORMER_CROP] == 2
    elsewhere = Options(name=name, output=tmp_path / "out")
    assert len(Plan.from_photos(Sources(recursive=True).find([tmp_path]), elsewhere)) == 4


@pytest.mark.parametrize("folder", ["", "out", "deep/er"])
@pytest.mark.parametrize("name", ["{stem}_{label}{rank}", "{label}/{stem}"])
def test_crops_in_a_tree_are_not_cropped_again(photo, tmp_path, folder, name):
    """Crops of an earlier run are recognized next to the photos, and in an output folder anywhere in the tree."""
    (tmp_path / "sub").mkdir()
    shutil.copy(photo, tmp_path / "sub" / "photo.jpg")
    options = Options(TWO, output=tmp_path / folder if folder else None, name=name)
    first = Plan.from_photos(Sources(recursive=True).find([tmp_path]), options)
    assert len(first) == 2
    write_outputs(first, photo)
    options = Options(TWO, output=tmp_path / "new", name=name)
    second = Plan.from_photos(Sources(recursive=True).find([tmp_path]), options)
    assert [job.path.relative_to(tmp_path).as_posix() for job in second.jobs()] == ["photo.jpg", "sub/photo.jpg"]
    assert (second.ignored[FORMER_CROP], second.early_results) == (4, [])


def test_crops_of_crops_are_not_cropped_again(photo, tmp_path):
    """A crop of a crop is also recognized as a crop."""
    for name in ("photo_crop.jpg", "photo_crop_4x3.jpg"):
        shutil.copy(photo, tmp_path / name)
    plan = Plan.from_photos(Sources().find([tmp_path]), Options())
    assert ([job.path.name for job in plan.jobs()], plan.ignored[FORMER_CROP]) == (["photo.jpg"], 2)


def test_similar_names_are_photos(photo, tmp_path):
    """A name like photo_2.jpg is not a crop's, and other_1x1.jpg is not a crop if other.jpg does not exist."""
    for name in ("photo_2.jpg", "other_1x1.jpg", "photo_final.jpg"):
        shutil.copy(photo, tmp_path / name)
    assert len(Plan.from_photos(Sources().find([tmp_path]), Options())) == 4


def test_explanations_are_not_cropped(photo, tmp_path):
    """Pictures of autocrop explain and crops of them are left out, unless their photo does not exist."""
    for name in ("photo_explained.png", "photo_explained_crop.png", "photo_explained.jpg", "other_explained.png"):
        shutil.copy(photo, tmp_path / name)
    plan = Plan.from_photos(Sources().find([tmp_path]), Options())
    assert [job.path.name for job in plan.jobs()] == ["other_explained.png", "photo.jpg", "photo_explained.jpg"]
    assert (plan.ignored[FORMER_EXPLANATION], plan.ignored[FORMER_CROP]) == (1, 1)
    plan = Plan.from_photos([photo, tmp_path / "photo_explained.png"], Options())
    assert "looks like an explanation of" in plan.early_results[0].reason


@pytest.mark.parametrize("name", ["{label}/{stem}{rank}", "{stem}{rank}_{label}"])
def test_ranks_after_the_photos_name_are_recognized(photo, tmp_path, name):
    """Crops of --top are not cropped again, even of photos whose names end in numbers and of two photos of one name."""
    shutil.copy(photo, tmp_path / "photo_1.jpg")
    shutil.copy(photo, tmp_path / "photo.jpeg")
    options = Options(TWO, top=2, name=name, format="jpg", output=tmp_path)
    first = Plan.from_photos(Sources(recursive=True).find([tmp_path]), options)
    for job in first.jobs():
        for output in (output for task in job.tasks for output in task.outputs):
            output.file.parent.mkdir(exist_ok=True)
            shutil.copy(photo, output.file)
    second = Plan.from_photos(Sources(recursive=True).find([tmp_path]), options)
    assert [job.path.name for job in second.jobs()] == ["photo.jpeg", "photo.jpg", "photo_1.jpg"]
    assert second.ignored[FORMER_CROP] == 12


@given(
    stem=st.text("abcXYZ019_-. ", min_size=1).filter(lambda text: text.strip(" .")),
    label=st.one_of(st.sampled_from(["crop", "4x3", "1.91x1", "1080x1350"]), st.sampled_from(sorted(PRESETS))),
    rank=st.integers(1, 50),
    template=st.sampled_from(
        [
            "{stem}_{label}{rank}",
            "{label}{rank}/{stem}",
            "{rank}{label}-{stem}",
            "{stem}_s{rank}",
            "{label}/{stem}{rank}",
            "{stem}{rank}_{label}",
        ]
    ),
)
def test_outputs_are_recognized_by_their_own_template(stem, label, rank, template):
    """Every name that a template makes is recognized as a crop of its photo."""
    options = Options(top=50, name=template)
    photo = Source(Path("/album") / f"{stem}.jpg")
    inputs = Inputs(options)
    inputs.add(photo)
    output = OutputNames(options).of_photo(photo, label, rank)
    assert inputs.original_of(Source(output.file)) == photo.path
