import os
import shutil

import pytest

from autocrop.batch.options import Options, extension
from autocrop.batch.plan import Plan
from autocrop.batch.sources import Source, Sources
from autocrop.batch.targets import make_targets
from autocrop.errors import UsageError

TWO = make_targets(["1:1", "1.5"], [])


def outputs(plan, root):
    """All files of all jobs, relative to *root*."""
    return [file.relative_to(root).as_posix() for job in plan.jobs() for wanted in job.wanted for file in wanted.files]


def test_names_follow_the_template(photo, tmp_path):
    """Any arrangement of the fields, folders too; bare numbers are ratios to one."""
    plan = Plan.make([photo], Options(TWO, top=2, output=tmp_path / "out", name="{label}/{stem}{rank}"))
    assert outputs(plan, tmp_path / "out") == [
        "1x1/photo_1.jpg",
        "1x1/photo_2.jpg",
        "1.5x1/photo_1.jpg",
        "1.5x1/photo_2.jpg",
    ]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{stem}_{date}", r"the fields are \{stem\}, \{label\}"),
        ("{stem", "expected '}'"),
        ("{stem:>10}_{label}", "the fields are"),
        ("{label}", "needs {stem}"),
        ("../{stem}_{label}", "below the output folder"),
        ("/tmp/{stem}_{label}", "below the output folder"),
        ("{stem}", "lacks {label}"),
        ("{stem}_{label}", "lacks {rank}"),
    ],
)
def test_bad_templates_are_refused(template, says):
    """Before anything is done, with what may stand there."""
    with pytest.raises(UsageError, match=says):
        Plan(Options(TWO, top=2, name=template))


@pytest.mark.parametrize("name", ["{stem}", "{folder}/{stem}", "{stem}_{folder}", "{stem}{rank}"])
def test_crops_beside_photos_can_be_told_from_them(tmp_path, name):
    """By name alone; elsewhere, and where nothing is written, that is not needed."""
    with pytest.raises(UsageError, match="next run would crop them again"):
        Plan(Options(name=name, format=".png"))
    Plan(Options(name=name, output=tmp_path / "out"))
    Plan(Options(name=name, dry_run=True))


@pytest.mark.parametrize("name", ["{stem}_small", "crops/{stem}", "small of {stem}{rank}"])
def test_a_word_tells_crops_from_photos(photo, tmp_path, name):
    """The crops of a template without a label, but with a word, are not cropped again; elsewhere they are photos."""
    shutil.copy(photo, tmp_path / "photo_smaller.jpg")
    options = Options(name=name, format=".png")
    first = Plan.make(Sources(recursive=True).find([tmp_path]), options)
    for job in first.jobs():
        job.wanted[0].files[0].parent.mkdir(exist_ok=True)
        shutil.copy(photo, job.wanted[0].files[0])
    second = Plan.make(Sources(recursive=True).find([tmp_path]), options)
    assert [job.path.name for job in second.jobs()] == ["photo.jpg", "photo_smaller.jpg"]
    assert second.former == 2
    elsewhere = Options(name=name, output=tmp_path / "out")
    assert len(Plan.make(Sources(recursive=True).find([tmp_path]), elsewhere)) == 4


def test_format_of_all_outputs(photo, tmp_path):
    """--format chooses the extension, however it is written."""
    plan = Plan.make([photo], Options(output=tmp_path / "out", format=extension("WebP")))
    assert outputs(plan, tmp_path) == ["out/photo_crop.webp"]
    with pytest.raises(UsageError, match="is not a format"):
        extension("docx")


@pytest.mark.parametrize("former", ["", "out", "deep/er"])
@pytest.mark.parametrize("name", ["{stem}_{label}{rank}", "{label}/{stem}"])
def test_crops_in_a_tree_are_not_cropped_again(photo, tmp_path, former, name):
    """Wherever in the tree a former run put them, beside the photos or in a folder, and under which name."""
    (tmp_path / "sub").mkdir()
    shutil.copy(photo, tmp_path / "sub" / "photo.jpg")
    options = Options(TWO, output=tmp_path / former if former else None, name=name)
    first = Plan.make(Sources(recursive=True).find([tmp_path]), options)
    assert len(first) == 2
    for job in first.jobs():
        for wanted in job.wanted:
            wanted.files[0].parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, wanted.files[0])
    second = Plan.make(Sources(recursive=True).find([tmp_path]), Options(TWO, output=tmp_path / "new", name=name))
    assert [job.path.relative_to(tmp_path).as_posix() for job in second.jobs()] == ["photo.jpg", "sub/photo.jpg"]
    assert (second.former, second.settled) == (4, [])


def test_former_crops_in_a_folder_can_be_replaced(photo, tmp_path):
    """--overwrite does, although they lie among the photos; a crop that is named itself is an input, and safe."""
    crop = tmp_path / "photo_crop.jpg"
    shutil.copy(photo, crop)
    assert Plan.make(Sources().find([tmp_path]), Options(overwrite=True)).blocked(crop, photo) == ""
    assert "never overwritten" in Plan.make([photo, crop], Options(overwrite=True)).blocked(crop, photo)


def test_crops_of_crops_in_a_folder_are_left_out(photo, tmp_path):
    """Somebody cropped a crop: both are known for what they are."""
    for name in ("photo_crop.jpg", "photo_crop_4x3.jpg"):
        shutil.copy(photo, tmp_path / name)
    plan = Plan.make(Sources().find([tmp_path]), Options())
    assert ([job.path.name for job in plan.jobs()], plan.former) == (["photo.jpg"], 2)


def test_names_like_those_of_crops_are_no_crops(photo, tmp_path):
    """beach_2.jpg is a photo although beach.jpg is there, and so is a_1x1.jpg where no a.jpg is."""
    for name in ("photo_2.jpg", "other_1x1.jpg", "photo_final.jpg"):
        shutil.copy(photo, tmp_path / name)
    assert len(Plan.make(Sources().find([tmp_path]), Options())) == 4


def test_older_outputs_are_replaced_only_with_update(photo, tmp_path):
    """A photo that changed since: the output says so, and --update allows it."""
    output = tmp_path / "photo_crop.jpg"
    shutil.copy2(photo, output)
    assert "--overwrite" in Plan.make([photo], Options()).blocked(output, photo)
    os.utime(output, (0, 0))
    assert "older than its photo" in Plan.make([photo], Options()).blocked(output, photo)
    assert Plan.make([photo], Options(update=True)).blocked(output, photo) == ""


def test_a_photo_that_is_added_again(photo, tmp_path):
    """While a folder is watched: the same job, and not another name."""
    plan = Plan(Options(output=tmp_path / "out"), remember=True)
    plan.add([Source(photo)])
    (first,) = plan.jobs()
    plan.add([Source(photo)])
    assert list(plan.jobs()) == [first]


def test_sizes_have_a_limit():
    """A size of more pixels than a photo may have would need more memory than there is."""
    Plan(Options(make_targets([], ["1000x1000"]), max_pixels=1_000_000))
    with pytest.raises(UsageError, match="100000x100000 are 10000000000 pixels, and --max-pixels allows 500000000"):
        Plan(Options(make_targets([], ["100000x100000"])))
    with pytest.raises(UsageError, match="1080x1350"):
        Plan(Options(make_targets([], [], ["instagram-portrait"]), max_pixels=1_000_000))


def test_explanations_in_a_folder_are_left_out(photo, tmp_path):
    """The pictures of autocrop explain and crops of them; but not what has the name of one without a photo."""
    for name in ("photo_explained.png", "photo_explained_crop.png", "photo_explained.jpg", "other_explained.png"):
        shutil.copy(photo, tmp_path / name)
    plan = Plan.make(Sources().find([tmp_path]), Options())
    assert [job.path.name for job in plan.jobs()] == ["other_explained.png", "photo.jpg", "photo_explained.jpg"]
    assert (plan.explained, plan.former) == (1, 1)
    plan = Plan.make([photo, tmp_path / "photo_explained.png"], Options())
    assert "looks like an explanation of" in plan.settled[0].reason
