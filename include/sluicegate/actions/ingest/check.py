"""One file through all checks, in the order in which a person would look at it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from sluicegate.actions.ingest.duplicates import labelled_before, repeated_rows, request_codes
from sluicegate.actions.ingest.expectations import Expectations, Finding
from sluicegate.actions.ingest.faults import Faults
from sluicegate.actions.ingest.inputs import accepted_columns, check_inputs
from sluicegate.actions.ingest.join import Joined, join
from sluicegate.actions.ingest.labels import Labels, check_labels, wanted
from sluicegate.actions.ingest.outcomes import outcomes
from sluicegate.actions.ingest.raw import Mask, RawFile, Rows, UnreadableFileError
from sluicegate.actions.ingest.read import read_file
from sluicegate.actions.ingest.requests import served, sources
from sluicegate.actions.ingest.write import Checked, accepted_schema, quarantined, unreadable
from sluicegate.domain.spec import Data, ModelSpec
from sluicegate.ports import Arrival, Ports


def check(path: Path, arrival: Arrival, spec: ModelSpec, ports: Ports) -> Checked:
    """Tell of every row of a taken file whether it is accepted, quarantined or a duplicate.

    Raises
    ------
    SpecError
        An expectation of the spec cannot be carried out; nothing is decided then, and the file waits for the spec.
    """
    try:
        raw = read_file(path, arrival.batch_id)
    except UnreadableFileError as e:
        return unreadable(arrival, e, spec.data)
    faults = Faults(len(raw.rows))
    labels = check_labels(raw, spec.data, arrival.arrived_at, faults)
    if labels is None:
        return _all_refused(arrival, raw, faults, spec.data)
    logged = served(ports.requests, spec.model, spec.data)
    joined = join(labels, sources(ports.requests, spec.model, spec.data, logged), spec.data, faults)
    check_inputs(joined, spec.data, faults)
    checked = _Batch(arrival, raw, labels, joined, faults, spec, ports).judged()
    if logged is not None:
        checked.outcomes = outcomes(checked.accepted, logged, spec)
    return checked


def _all_refused(arrival: Arrival, raw: RawFile, faults: Faults, data: Data) -> Checked:
    """No row can be read because a column is missing."""
    nothing = accepted_schema(data).empty_table()
    aside = quarantined(raw, faults)
    rows = {"in": raw.size, "accepted": 0, "quarantined": aside.num_rows, "duplicate": 0}
    message = aside["message"][0].as_py() if aside.num_rows else f"{arrival.name} has no rows, and lacks a column"
    return Checked(
        arrival, nothing, nothing, aside, rows, _reasons(aside), warnings=_remarks(raw, data), blocked=True, message=message
    )


class _Batch:
    """The rows that passed the checks of single rows, on their way through expectations and duplicates."""

    def __init__(
        self, arrival: Arrival, raw: RawFile, labels: Labels, joined: Joined, faults: Faults, spec: ModelSpec, ports: Ports
    ) -> None:
        self.arrival, self.raw, self.faults, self.spec, self.ports = arrival, raw, faults, spec, ports
        keep = faults.good[joined.rows]
        self.rows: Rows = joined.rows[keep]
        """Row of the file for each row of the table."""
        self.table = _table(labels, joined, pa.array(keep), self.rows, spec.data)
        self.codes = request_codes(self.table)

    def judged(self) -> Checked:
        """Expectations judge what this file says, known before or not: so it does not matter which of two files came first."""
        expectations = Expectations(self.spec.expectations, f"{self.spec.model}/spec.yaml") if self.spec.expectations else None
        self._keep(~repeated_rows(self.table, self.codes))
        found: list[Finding] = []
        if expectations:
            found = self._by_row(expectations)
            found += expectations.about_table(_as_named(self.table, self.spec.data))
        blocking = [finding for finding in found if finding.blocks]
        if blocking:
            return self._blocked(blocking[0], found)
        again = labelled_before(self.table, self.codes, self.ports.dataset, self.spec.model)
        return self._checked(self.table.filter(pa.array(~again)), self.table.filter(pa.array(again)), found)

    def _keep(self, mask: Mask) -> None:
        if not mask.all():
            self.table, self.rows, self.codes = self.table.filter(pa.array(mask)), self.rows[mask], self.codes[mask]

    def _by_row(self, expectations: Expectations) -> list[Finding]:
        """Send the rows that break an expectation to quarantine; findings keep the counts."""
        found = expectations.about_rows(_as_named(self.table, self.spec.data))
        for finding in found:
            if finding.strict:
                self._mark(finding)
        self._keep(self.faults.good[self.rows])
        return found

    def _mark(self, finding: Finding) -> None:
        names = _names(self.spec.data)
        column = names.get(finding.column)
        values = self.table[column].take(pa.array(finding.rows)) if column else None
        what = f"{finding.name} ({finding.arguments})"
        self.faults.mark(
            np.ones(len(finding.rows), dtype=bool),
            finding.name,
            lambda v, p: f"{p} breaks {what} with the value {v}: mend the row, or the expectation in spec.yaml",
            values,
            self.rows[finding.rows],
        )

    def _blocked(self, finding: Finding, found: list[Finding]) -> Checked:
        """The whole batch goes to quarantine: also its duplicates, which are no better than the rest."""
        why = f"the whole batch is refused, {finding.sentence}: mend the data and land it again, or the expectation in spec.yaml"
        self.faults.mark(self.faults.good, finding.name, lambda _, p: f"{p}: {why}")
        nothing = self.table.slice(0, 0)
        checked = self._checked(nothing, nothing, found)
        checked.blocked, checked.message = True, why
        return checked

    def _checked(self, accepted: pa.Table, duplicates: pa.Table, found: list[Finding]) -> Checked:
        aside = quarantined(self.raw, self.faults)
        counts = {"in": self.raw.size, "accepted": accepted.num_rows, "quarantined": aside.num_rows}
        counts["duplicate"] = int(self.faults.good.sum()) - accepted.num_rows
        return Checked(
            self.arrival,
            accepted,
            duplicates,
            aside,
            counts,
            _reasons(aside),
            critical=[f.to_dict() for f in found if f.severity == "critical"],
            warnings=_remarks(self.raw, self.spec.data) + [f.to_dict() for f in found if f.severity != "critical"],
        )


def _table(labels: Labels, joined: Joined, keep: pa.Array, rows: Rows, data: Data) -> pa.Table:
    """The rows that go on, with the columns of accepted.parquet."""
    places = pa.array(rows)
    columns = {
        "request_id": labels.ids.take(places),
        "event_time": joined.columns[data.event_time].values.filter(keep),
        **accepted_columns(joined, data, keep),
        "label": pa.array(labels.label[rows]),
        "known_at": labels.known_at.take(places),
        "score": joined.columns["score"].values.filter(keep),
        "version": joined.columns["version"].values.filter(keep),
    }
    return pa.table(columns, schema=accepted_schema(data))


def _names(data: Data) -> dict[str, str]:
    """Names in the spec → columns of accepted.parquet."""
    ours = {data.request_id: "request_id", data.event_time: "event_time", data.user_id: "user", data.label.field: "label"}
    return {**{name: name for name in data.inputs}, **ours, data.label_time: "known_at", "score": "score", "version": "version"}


def _as_named(table: pa.Table, data: Data) -> pa.Table:
    """The rows as expectations see them: under the names that the spec uses."""
    names = {ours: theirs for theirs, ours in _names(data).items()}
    return table.rename_columns([names[name] for name in table.column_names])


def _reasons(aside: pa.Table) -> dict[str, int]:
    return dict(Counter(aside["reason"].to_pylist()).most_common())


def _remarks(raw: RawFile, data: Data) -> list[dict[str, object]]:
    """What a person should know about the file though no row is refused for it."""
    extra = [name for name in raw.columns if name not in wanted(data)]
    remarks: list[dict[str, object]] = [{"code": "read", "message": text} for text in raw.warnings]
    if extra:
        told = f"the file has columns that nothing is known about, they are ignored: {', '.join(extra)[:200]}"
        remarks.append({"code": "extra_column", "message": told, "columns": extra})
    return remarks
