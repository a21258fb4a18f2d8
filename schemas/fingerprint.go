package schemas

import (
	"fmt"
	"strconv"
)

// fingerprint is the CRC-64-AVRO of a schema's parsing canonical form (Avro's specification, "Schema Fingerprints"). The Avro
// library's own keeps logical types in its canonical form, and joins the namespaces of nested types: nobody else would find it.
func (n *schemaNode) fingerprint() uint64 {
	crc := uint64(crcEmpty)
	for _, c := range n.canonical(nil, map[*schemaNode]bool{}) {
		crc = crc>>8 ^ crcTable[byte(crc)^c]
	}
	return crc
}

const crcEmpty = 0xc15d213aa4d7a795

var crcTable = func() (table [256]uint64) {
	for i := range table {
		crc := uint64(i)
		for range 8 {
			crc = crc>>1 ^ crcEmpty&-(crc&1)
		}
		table[i] = crc
	}
	return table
}()

// canonical appends the parsing canonical form: what makes the bytes, in one spelling. A named type is written out where it is
// first used.
func (n *schemaNode) canonical(b []byte, written map[*schemaNode]bool) []byte {
	if n.name != "" {
		if written[n] {
			return strconv.AppendQuote(b, n.name)
		}
		written[n] = true
		b = fmt.Appendf(b, `{"name":%q,"type":%q`, n.name, n.kind)
	}
	switch n.kind {
	case "record":
		b = append(b, `,"fields":[`...)
		for i, f := range n.fields {
			b = comma(b, i)
			b = fmt.Appendf(b, `{"name":%q,"type":`, f.name)
			b = append(f.node.canonical(b, written), '}')
		}
		return append(b, "]}"...)
	case "enum":
		b = append(b, `,"symbols":[`...)
		for i, symbol := range n.symbols {
			b = strconv.AppendQuote(comma(b, i), symbol)
		}
		return append(b, "]}"...)
	case "fixed":
		return fmt.Appendf(b, `,"size":%d}`, n.size)
	case "array":
		return append(n.items.canonical(append(b, `{"type":"array","items":`...), written), '}')
	case "map":
		return append(n.items.canonical(append(b, `{"type":"map","values":`...), written), '}')
	case "union":
		b = append(b, '[')
		for i, branch := range n.branches {
			b = branch.canonical(comma(b, i), written)
		}
		return append(b, ']')
	}
	return strconv.AppendQuote(b, n.kind)
}

func comma(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ',')
}
