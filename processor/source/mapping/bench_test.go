package mapping

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kinfold/processor/source"
)

// preset compiles a mapping of schemas/sources.
func preset(t testing.TB, name string) *Mapping {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../schemas/sources", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(name, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	segmentCall = `{"type":"track","event":"Product Viewed","messageId":"ajs-next-1772368201000-5f0c2c1e","anonymousId":"23adfd82-aa0f-45a7-a756-24f2a7a4c895",` +
		`"userId":"c-7001","channel":"browser","context":{"ip":"192.0.2.21","library":{"name":"analytics.js","version":"2.11.1"},"locale":"es-AR",` +
		`"page":{"path":"/academy/","referrer":"","search":"","title":"Analytics Academy","url":"https://shop.example/p/1"},` +
		`"campaign":{"name":"otoño","source":"Newsletter","medium":"email"},"traits":{"email":"ana.perez@example.com"},` +
		`"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/46.0.2490.86 Safari/537.36"},` +
		`"integrations":{"All":true},"properties":{"sku":"G-32","name":"Remera","price":18.99,"currency":"ARS"},` +
		`"originalTimestamp":"2026-03-01T12:00:02.500Z","sentAt":"2026-03-01T12:00:05.000Z","receivedAt":"2026-03-01T12:00:03.100Z","timestamp":"2026-03-01T12:00:00.120Z"}`
	segmentOrder = `{"type":"track","event":"Order Completed","messageId":"m-oc-1","anonymousId":"507f191e810c19729de860ea","userId":"c-7001","channel":"client",` +
		`"timestamp":"2026-03-01T12:00:00.120Z","context":{"library":{"name":"analytics.js","version":"2.11.1"},"traits":{"email":"Ana.Perez@Example.com"}},` +
		`"properties":{"order_id":"50314b8e9bcf000000000000","total":27.5,"revenue":22.5,"currency":"USD","products":[` +
		`{"product_id":"507f1f77bcf86cd799439011","sku":"45790-32","name":"Monopoly: 3rd Edition","price":19,"quantity":1},` +
		`{"product_id":"505bd76785ebb509fc183733","sku":"46493-32","name":"Uno Card Game","price":3,"quantity":2}]}}`
	sendgridBatch = `[{"email":"ana.perez@example.com","event":"processed","timestamp":1767225600,"sg_event_id":"ev-processed-1","sg_message_id":"14c5"},` +
		`{"email":"ana.perez@example.com","event":"open","timestamp":1767225600,"sg_event_id":"ev-open-1","sg_machine_open":true,"useragent":"Mozilla/5.0"}]`
	icommRow  = "B000100001234|CENTRO01|00123   |07/03/2026|3|2.00|15000.50|12397.11|0.00|0\r"
	mailchimp = "type=subscribe&fired_at=2026-03-02+10%3A00%3A00&data[id]=7d1361be&data[list_id]=a6b5da1054&data[email]=ana%2Bclub%40example.com&" +
		"data[merges][FNAME]=Ana&data[merges][LNAME]=P%C3%A9rez&data[merges][PHONE]=011+15+2345-6789"
	posSale = `{"ticket":"B-77","customer_id":"00123","email":"ana.perez@example.com","member_id":"M-9001","card_read":true,"currency":"ARS","total":1250.5,` +
		`"lines":[{"sku":"S-1","quantity":2,"price":625.25}]}`
)

var posHeaders = []Header{{"ce_specversion", []byte("1.0")}, {"ce_id", []byte("E1")}, {"ce_source", []byte("/pos/AR-001")},
	{"ce_type", []byte("com.example.pos.sale")}, {"ce_time", []byte("2026-03-02T09:59:59.5-03:00")}, {"content-type", []byte("application/json")}}

// snowplowRow is a row of all 131 columns, most of them empty.
func snowplowRow() string {
	cells := make([]string, 131)
	for i, s := range map[int]string{0: "shop", 1: "web", 5: "page_view", 6: "3b1e8d8e-5b0d-4b57-9f5f-1f6a2c7d0005", 12: "C-42",
		15: "7d3f0a10-0000-4000-8000-000000000001", 29: "https://shop.example/p/1", 77: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_0)",
		124: "2026-03-10 10:00:02.300", 126: "page_view", 58: `{"schema":"iglu:x","data":{"schema":"iglu:y","data":{"targetUrl":"http://www.example.com"}}}`} {
		cells[i] = s
	}
	return strings.Join(cells, "\t")
}

// examples are a record of each format, that becomes interactions and nothing else.
var examples = []struct {
	name, preset string
	rec          Record
}{
	{"json", "segment", Record{Topic: "in.segment", Value: []byte(segmentCall)}},
	{"json-order", "segment", Record{Topic: "in.segment", Value: []byte(segmentOrder)}},
	{"json-exploded", "sendgrid", Record{Topic: "in.sendgrid", Value: []byte(sendgridBatch)}},
	{"delimited", "icomm", Record{Topic: "in.icomm.files", Value: []byte(icommRow), Headers: []Header{{"filename", []byte("ICOMMKT_ORDERS_AR_20260308.txt")}}}},
	{"delimited-131", "snowplow", Record{Topic: "in.snowplow", Value: []byte(snowplowRow())}},
	{"form", "mailchimp", Record{Topic: "in.mailchimp", Value: []byte(mailchimp)}},
	{"cloudevents", "cloudevents", Record{Topic: "in.cloudevents", Value: []byte(posSale), Headers: posHeaders}},
}

func TestApplyMakesInteractionsOfTheExamples(t *testing.T) {
	for _, e := range examples {
		var out Result
		preset(t, e.preset).Apply(&e.rec, &out)
		for i := range out.Items {
			if it := &out.Items[i]; it.Kind != Interaction || it.Interaction.Type == "" {
				t.Errorf("%s: item %d is %s", e.name, i, describe(it))
			}
		}
	}
}

// describe names what an item is.
func describe(it *Item) string {
	switch it.Kind {
	case Reject:
		return fmt.Sprintf("reject %s (%s)", ReasonText(it.Reject), it.Reject.Detail)
	case Ignore:
		return "ignore " + it.Ignore
	case Directive:
		return "directive " + string(it.Directive.Kind)
	}
	return "interaction " + it.Interaction.Type
}

func BenchmarkApply(b *testing.B) {
	for _, e := range examples {
		b.Run(e.name, func(b *testing.B) {
			m := preset(b, e.preset)
			var out Result
			b.ReportAllocs()
			b.SetBytes(int64(len(e.rec.Value)))
			for b.Loop() {
				m.Apply(&e.rec, &out)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkTree(b *testing.B) {
	var tree source.Tree
	b.ReportAllocs()
	b.SetBytes(int64(len(segmentCall)))
	for b.Loop() {
		tree.Reset()
		if _, rej := tree.AddJSON(segmentCall); rej != nil {
			b.Fatal(rej)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	text, err := os.ReadFile("../../../schemas/sources/shopify.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Compile("shopify", text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
