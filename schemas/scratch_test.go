package schemas

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"

	"kinfold/processor/interaction"
)

func TestScratchNulls(t *testing.T) {
	var f strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&f, `{"name":"n%d","type":"null"},`, i)
	}
	r, err := NewReader(record(required + `,{"name":"identifiers","type":{"type":"array","items":{"type":"record","name":"Id","fields":[` + f.String() + `{"name":"b","type":"boolean"}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	n := 500
	body := appendLong([]byte{0, 0, 0, 0, 0}, int64(n))
	body = append(body, make([]byte, n+1)...)
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	s := time.Now()
	rej := r.Interaction(body, &interaction.Interaction{})
	runtime.ReadMemStats(&b)
	fmt.Fprintln(os.Stderr, "nulls:", rej, len(body), "bytes in; allocated MB", (b.TotalAlloc-a.TotalAlloc)>>20, time.Since(s))
}

func TestScratchDiamond(t *testing.T) {
	f := fake(t)
	f.SeedSchema("money", 1, 1, sr.Schema{Schema: `{"type":"record","name":"Money","namespace":"tienda","fields":[{"name":"v","type":"long"}]}`, Type: sr.TypeAvro})
	f.SeedSchema("line", 1, 2, sr.Schema{Schema: `{"type":"record","name":"Line","namespace":"tienda","fields":[{"name":"m","type":"tienda.Money"}]}`, Type: sr.TypeAvro,
		References: []sr.SchemaReference{{Name: "tienda.Money", Subject: "money", Version: 1}}})
	f.SeedSchema("in-value", 1, 3, sr.Schema{
		Schema: record(required + `,{"name":"l","type":"tienda.Line"},{"name":"t","type":"tienda.Money"}`), Type: sr.TypeAvro,
		References: []sr.SchemaReference{{Name: "tienda.Money", Subject: "money", Version: 1}, {Name: "tienda.Line", Subject: "line", Version: 1}},
	})
	r := openRegistry(t, f.URL())
	err := r.Fetch(t.Context(), 3)
	fmt.Fprintln(os.Stderr, "diamond:", err, r.known[3].reject)
}

func TestScratchEvict(t *testing.T) {
	r := &Registry{known: map[int]verdict{}}
	for i := range maxReaders {
		r.known[i] = verdict{reader: &Reader{}}
	}
	f := fake(t)
	f.SeedSchema("in-value", 1, 5000, sr.Schema{Schema: KindInteraction.Schema(), Type: sr.TypeAvro})
	o := openRegistry(t, f.URL())
	r.cl = o.cl
	fmt.Fprintln(os.Stderr, "known before", r.Known(5))
	_ = r.Fetch(t.Context(), 5000)
	fmt.Fprintln(os.Stderr, "evict:", r.Interaction(5, simple(), &interaction.Interaction{}))
}

func TestScratchAmount(t *testing.T) {
	b := simple()
	b = b[:len(b)-3]
	b = append(b, 2, 2, 'n', 0, 2, 0, 0, 0, 0) // zero-length amount
	fmt.Fprintln(os.Stderr, "amount:", DecodeInteraction(b, &interaction.Interaction{}))
	func() {
		defer func() { fmt.Fprintln(os.Stderr, "judge", recover()) }()
		_, _, err := codecOf2(KindInteraction).NativeFromBinary(b)
		fmt.Fprintln(os.Stderr, "judge", err)
	}()
	c := simple()
	c = c[:len(c)-2]
	c = append(c, 4, 2, 'a', 2, '1', 2, 'a', 2, '2', 0, 0)
	_, _, err := codecOf2(KindInteraction).NativeFromBinary(c)
	fmt.Fprintln(os.Stderr, "dup:", DecodeInteraction(c, &interaction.Interaction{}), err)
	// maxed out identifiers plus an amount of 1 MB etc
	_, err = NewReader(record(required + `,{"name":"a","type":{"type":"fixed","name":"F","size":-5}}`))
	fmt.Fprintln(os.Stderr, "fixed -5", err)
	_, err = NewReader(record(required + `,{"name":"a","type":{"type":"fixed","name":"F","size":0}}`))
	fmt.Fprintln(os.Stderr, "fixed 0", err)
	_, err = NewReader(record(required + `,{"name":"a","type":{"type":"fixed","name":"F","size":1e30}}`))
	fmt.Fprintln(os.Stderr, "fixed 1e30", err)
	_, err = NewReader(record(required + `,{"name":"a","type":{"type":"string","logicalType":"validated-string","pattern":"^a$"}}`))
	fmt.Fprintln(os.Stderr, "validated", err)
}

func codecOf2(k Kind) *goavro.Codec { c, _ := goavro.NewCodec(k.Schema()); return c }
