"""VOTables: what comes back, with units, UCDs and odd names."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse_single_table

from skysift.errors import SkysiftError
from skysift.tables.votable import write_votable


def made():
    fields = [
        pa.field("id", pa.string(), metadata={"ucd": "meta.id;meta.main", "description": "The & id."}),
        pa.field("ra", pa.float64(), metadata={"unit": "deg", "ucd": "pos.eq.ra;meta.main"}),
        pa.field("p_<a> b", pa.float32()),
        pa.field("p__a__b", pa.float32()),
        pa.field("1C-1P", pa.int16()),
        pa.field("class", pa.dictionary(pa.int32(), pa.string())),
        pa.field("größe", pa.string()),
        pa.field("n", pa.int64()),
        pa.field("flag", pa.bool_()),
    ]
    values = [
        ["a", "bcd", ""],
        [1.5, None, 359.0],
        [0.25, 0.5, 1.0],
        [1.0, 2.0, 3.0],
        [1, 2, 3],
        ["x", "yy", "x"],
        ["ä", "ö", "ßß"],
        [2**40, 0, -1],
        [True, False, True],
    ]
    return pa.Table.from_arrays(
        [pa.array(v, f.type) for v, f in zip(values, fields, strict=True)], schema=pa.schema(fields)
    )


def test_values_and_descriptions_come_back(tmp_path):
    write_votable(made(), tmp_path / "t.vot", name="things", description="A few things")
    found = parse_single_table(tmp_path / "t.vot")
    assert [f.name for f in found.fields] == made().column_names
    names = found.array.dtype.names
    assert len(set(names)) == 9
    for name, target in zip(made().column_names, names, strict=True):
        expected = made().column(name).to_pylist()
        if name == "ra":
            assert found.array[target].mask.tolist() == [False, True, False] or np.isnan(found.array[target].data[1])
            expected = [expected[0], expected[2]]
            assert found.array[target].data[[0, 2]].tolist() == expected
        else:
            assert found.array[target].tolist() == expected
    described = {f.name: f for f in found.fields}
    assert described["id"].description == "The & id."
    assert described["ra"].ucd == "pos.eq.ra;meta.main"
    assert str(described["ra"].unit) == "deg"
    assert described["ra"].ref == "ICRS"
    assert described["größe"].datatype == "unicodeChar"
    assert found.description == "A few things"


def test_equal_tables_give_equal_bytes_and_empty_ones_are_tables(tmp_path):
    for name in ("a.vot", "b.vot"):
        write_votable(made(), tmp_path / name, name="things", description="A few things")
    assert (tmp_path / "a.vot").read_bytes() == (tmp_path / "b.vot").read_bytes()
    write_votable(made().slice(0, 0), tmp_path / "c.vot", name="things", description="None")
    assert len(parse_single_table(tmp_path / "c.vot").array) == 0


def test_what_a_votable_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "t.vot"
    with pytest.raises(SkysiftError, match="Column n has 1 missing values"):
        write_votable(pa.table({"n": pa.array([1, None])}), path, name="t", description="")
    with pytest.raises(SkysiftError, match="Column l is of type list"):
        write_votable(pa.table({"l": pa.array([[1], [2]])}), path, name="t", description="")
    assert not path.exists()
