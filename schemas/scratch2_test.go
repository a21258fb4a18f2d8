package schemas

import (
	"fmt"
	"os"
	"testing"
)

func TestScratchDec(t *testing.T) {
	for _, s := range []string{
		`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},{"name":"b","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":3}}`,
		`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},{"name":"b","type":["null",{"type":"bytes","logicalType":"decimal","precision":18,"scale":3}]},{"name":"c","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}}`,
		`{"name":"a","type":{"type":"fixed","name":"D1","size":8,"logicalType":"decimal","precision":18,"scale":2}},{"name":"b","type":{"type":"fixed","name":"D2","size":8,"logicalType":"decimal","precision":18,"scale":3}},{"name":"c","type":"D1"}`,
		`{"name":"a","type":{"type":"string","logicalType":"validated-string","name":"x","pattern":"^a$"}}`,
		`{"name":"a","type":{"type":"string","logicalType":"uuid"}}`,
		`{"name":"a","type":["null",{"type":"string","logicalType":"uuid"}]}`,
		`{"name":"a","type":["null",{"type":"string","avro.java.string":"String"}]}`,
		`{"name":"a","type":{"type":"long","logicalType":"local-timestamp-millis"}}`,
		`{"name":"a","type":{"type":"long","logicalType":"timestamp-nanos"}}`,
		`{"name":"a","type":{"type":"bytes","logicalType":"decimal"}}`,
		`{"name":"a","type":{"type":"string","logicalType":"decimal","precision":4}}`,
		`{"name":"a","type":{"type":"int","logicalType":"date"}}`,
		`{"name":"a","type":{"type":"string"},"default":5}`,
		`{"name":"a","type":["null","string"],"default":"x"}`,
		`{"name":"código","type":"string"}`,
		`{"name":"a","type":{"type":"enum","name":"E","symbols":["a-b"]}}`,
	} {
		_, err := NewReader(record(required + "," + s))
		fmt.Fprintln(os.Stderr, s[:min(len(s), 150)], "\n  =>", err)
	}
}
