package try

import (
	"strings"

	"kinfold/processor/interaction"
	"kinfold/processor/source/mapping"
)

// advice says what to do about a reject, for each reason that a mapping or the identity rules give.
var advice = map[interaction.Reason]string{
	interaction.ReasonUnparsable: "compare the value with format, encoding and columns of the input, or let the producer mend it; " +
		"what is never a record can be told apart by when in inputs",
	interaction.ReasonUnsupportedType: "the mapping reads another format: add an input for this one, told apart by a header or the topic",
	interaction.ReasonUnknownSchema:   "see that registry.urls names the registry of the producer; the schema of a single object is declared with avro_schemas",
	interaction.ReasonBadSchema:       "the registry's schema cannot be read: see what it says",
	interaction.ReasonLeftoverBytes:   "the value is longer than its schema says: compare it with the producer's",
	interaction.ReasonTooLarge:        "let the producer send less in one record; the bounds are in the documentation of the language",
	interaction.ReasonUnknownEvent: "add a rule whose when holds for it, or one with ignore: REASON where it is none of ours; " +
		"a rule of yours goes into a file with extends",
	interaction.ReasonMissingField:    "give the field another path, a list of paths, or a const; or ignore such records by a rule of their own",
	interaction.ReasonInvalidField:    "give the field a path to a value that can be read, or let the producer mend it",
	interaction.ReasonBadStoreCode:    "take another field for store_code, or a part of it with match",
	interaction.ReasonBadTime:         "take another field for occurred_at, or name its spelling with time and zone",
	interaction.ReasonBadDirective:    "both identifiers, event_id and occurred_at of a directive have to be there and valid",
	interaction.ReasonEraseNotEnabled: "confirm it by hand, or allow the source to erase (allow_erase in its configuration)",
}

// unmapped is the advice where no mapping looked at the record: it is read as it came.
var unmapped = map[interaction.Reason]string{
	interaction.ReasonUnparsable:      "compare the value with format and avro_framing of its source, or let the producer mend it",
	interaction.ReasonMissingField:    "let the producer send the field, or read its records by a mapping",
	interaction.ReasonInvalidField:    "let the producer mend the field, or read its records by a mapping",
	interaction.ReasonBadStoreCode:    "let the producer mend store_code, or read its records by a mapping",
	interaction.ReasonBadTime:         "let the producer mend occurred_at, or read its records by a mapping",
	interaction.ReasonBadDirective:    "let its author mend the directive and send it again",
	interaction.ReasonEraseNotEnabled: "set identity.erase_enabled, if persons may be erased here, and send the directive again",
}

// adviceOn says what to do about a reject of an item with that trace. In invalid_field it depends on the field.
func adviceOn(rej *interaction.Reject, tr *mapping.Trace) string {
	if text := unmapped[rej.Reason]; tr == nil && text != "" {
		return text
	}
	if rej.Reason == interaction.ReasonInvalidField {
		switch {
		case rej.Detail == "occurred_at":
			return "name its spelling with time (iso, unix_s, unix_ms, unix_us, unix_days, or dd/MM/yyyy and the like), and a zone where the text has none; " +
				"a time before 1995 or after 2099 is taken for a wrong unit"
		case strings.HasSuffix(rej.Detail, "total_amount"), strings.HasSuffix(rej.Detail, "quantity"), strings.HasSuffix(rej.Detail, "unit_price"):
			return "want a number like 1234.56, of 14 digits before the point at most; scale: -2 reads cents; match takes a part of the text"
		}
	}
	return advice[rej.Reason]
}
