"""The notebooks of the course: their questions and what each builds on."""

from typing import NamedTuple


class Notebook(NamedTuple):
    number: str
    title: str
    needs: tuple[str, ...] = ()
    optional: bool = False


OUTLINE: tuple[Notebook, ...] = (
    Notebook("00", "Set-up and how to read these"),
    Notebook("01", "What can a fixed dataset tell you?", ("00",)),
    Notebook("02", "Where does a value come from?", ("01",)),
    Notebook("03", "Why do long horizons break Q-learning?", ("02",)),
    Notebook("04", "Why not simply use n-step returns?", ("03",)),
    Notebook("05", "How does a flow become a policy?", ("00",)),
    Notebook("06", "Why chunks at all?", ("05",)),
    Notebook("07", "How far can picking the best sample go?", ("01",)),
    Notebook("08", "Which chunk length?", ("04", "07")),
    Notebook("09", "When does a chunk critic lie?", ("08",), optional=True),
    Notebook("10", "One step or a whole chunk: which model drifts less?", ("00",)),
    Notebook("11", "How far should you imagine?", ("02", "10")),
    Notebook("12", "Does it work on a robot?", ("06", "08")),
    Notebook("13", "How wrong is a value on a robot?", ("11", "12")),
    Notebook("14", "Write Q-chunking", ("12",)),
    Notebook("15", "What do the papers' tables really say?", ("12",)),
    Notebook("16", "Does acting in chunks explore better?", ("08", "12")),
    Notebook("17", "Rejection sampling or gradient?", ("05", "07")),
)
