package live

import "testing"

func TestRejectsCountTheElementsOfTheirRecord(t *testing.T) {
	for elements, want := range map[string]int64{"": 1, "0": 1, "1,3": 2, "4,5,6": 3, "0,1 and 7 more": 9} {
		if got := rejected(elements); got != want {
			t.Errorf("reject.elements %q stands for %d, want %d", elements, got, want)
		}
	}
}
