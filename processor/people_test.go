package processor_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"kinfold/processor/interaction"
)

// scenario is what happens to few people in few shops of three realms, so that they meet often: in any order first, then erase
// after erase, then in any order what is late.
type scenario struct {
	rules  string
	first  []happening
	erases []string // directives
	late   []happening
}

// happening is an interaction or a directive in JSON.
type happening struct {
	text      string
	directive bool
}

// line is how a dry run reads it.
func (h happening) line() string {
	if h.directive {
		return `{"directive": ` + h.text + `}`
	}
	return h.text
}

// epoch is when scenarios begin: 2024-05-01, so that no record of a broker is older than what it tells.
const epoch = int64(1714521600000)

// scenarioRules are rules with thresholds so low that few interactions reach them, around those that differ.
var scenarioRules = []string{
	``,
	`, "namespaces": {"email": {"at_most": 2, "shared_anchors": 2}, "user": {"shared_contacts": 2}, "phone": {"at_most": 1, "shared_contacts": 2}, "document": {"shared_anchors": 2}}, "anchors_in_all": 3`,
	`, "namespaces": {"email": {"shared_anchors": 1}, "device_id": {"shared_contacts": 1}}, "store_codes_tied": 2, "devices_join_known": true`,
	`, "customer_limit": 4, "namespaces": {"email": {"shared_anchors": 2}, "document": {"at_most": 2}}`,
}

// stores by the realm to which the rules give them.
var stores = map[string][]string{"default": {"S01", "S02", ""}, "brasil": {"BR-1", "BR-2"}, "chile": {"CL-1"}}

var spacesOf = []string{"user", "email", "phone", "document", "member_id", "device_id", "anonymous_id"}

// value is an identifier of one of four people as a source would send it.
func value(space string, person int) string {
	return map[string][]string{
		"user":         {"ñandú-01", "João-02", "IÑAKI", "conceição"},
		"email":        {"ñandú@correo.example", "João@correio.example", "iñaki@correo.example", "Conceição@correio.example"},
		"phone":        {"+34911234567", "+5511912345678", "+541144440001", "+4930123456"},
		"document":     {"30.111.222", "11122233344", "12345678-Z", "55566677788"},
		"member_id":    {"tarjeta-1", "tarjeta-2", "cartão-3", "karte-4"},
		"device_id":    {"kiosco-0001", "tablet-hall-02", "celular-é-03", "handy-ü-0004"},
		"anonymous_id": {"visita-0001", "visita-0002", "visita-0003", "visita-0004"},
	}[space][person]
}

func drawScenario(t *rapid.T) scenario {
	s := scenario{rules: `{"erase_enabled": true, "realms": {"BR-*": "brasil", "CL-*": "chile", "*": "default"}` + rapid.SampledFrom(scenarioRules).Draw(t, "rules") + `}`}
	n := 0
	happen := func() happening {
		n++
		if rapid.IntRange(0, 4).Draw(t, "directive") == 0 {
			return happening{drawDirective(t, fmt.Sprintf("d%d", n), false), true}
		}
		return happening{drawInteraction(t, n), false}
	}
	for range rapid.IntRange(1, 40).Draw(t, "happenings") {
		s.first = append(s.first, happen())
	}
	for range rapid.IntRange(0, 3).Draw(t, "erases") {
		n++
		s.erases = append(s.erases, drawDirective(t, fmt.Sprintf("x%d", n), true))
	}
	for range rapid.IntRange(0, 6).Draw(t, "late") {
		s.late = append(s.late, happen())
	}
	if rapid.Bool().Draw(t, "replayed") {
		s.late = append(s.late, s.first...)
	}
	return s
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func drawInteraction(t *rapid.T, n int) string {
	realm := rapid.SampledFrom([]string{"default", "default", "default", "brasil", "chile"}).Draw(t, "realm")
	source := rapid.SampledFrom([]string{"pos", "web"}).Draw(t, "source")
	m := map[string]any{
		"source": source, "channel": source, "type": "thing.done", "store_code": rapid.SampledFrom(stores[realm]).Draw(t, "store"),
		"occurred_at": epoch + 60000*rapid.Int64Range(0, 4).Draw(t, "minute"),
	}
	if rapid.IntRange(0, 9).Draw(t, "without id") > 0 {
		m["event_id"] = fmt.Sprintf("e%d", n)
	}
	ids := []map[string]any{}
	for _, space := range rapid.SliceOfNDistinct(rapid.SampledFrom(spacesOf), 0, 4, rapid.ID).Draw(t, "namespaces") {
		v := value(space, rapid.IntRange(0, 3).Draw(t, "person"))
		if space == "user" {
			m["user_id"] = v
			continue
		}
		ids = append(ids, map[string]any{"namespace": space, "value": v, "verified": rapid.IntRange(0, 3).Draw(t, "verified") == 0})
	}
	m["identifiers"] = ids
	return encode(m)
}

func drawDirective(t *rapid.T, id string, erase bool) string {
	realm := rapid.SampledFrom([]string{"default", "default", "brasil"}).Draw(t, "realm")
	kind := interaction.DirectiveErase
	m := map[string]any{"directive_id": id, "realm": realm, "issued_at": epoch + 3600000}
	if !erase {
		kind = rapid.SampledFrom(interaction.DirectiveKinds[:5]).Draw(t, "kind")
		m["issued_at"] = epoch + 60000*rapid.Int64Range(0, 4).Draw(t, "issued")
	}
	target := func(space string, person int) map[string]any {
		a := map[string]any{"namespace": space, "value": value(space, person)}
		if space == "user" || space == "document" {
			a["store_code"] = rapid.SampledFrom(stores[realm][:1+len(stores[realm])/3]).Draw(t, "store")
		}
		return a
	}
	space, person := rapid.SampledFrom(spacesOf).Draw(t, "namespace"), rapid.IntRange(0, 3).Draw(t, "person")
	a := target(space, person)
	m["kind"], m["a"] = kind, a
	other := func() {
		space, person = rapid.SampledFrom(spacesOf).Draw(t, "other namespace"), (person+rapid.IntRange(1, 3).Draw(t, "other person"))%4
		m["b"] = target(space, person)
	}
	switch kind {
	case interaction.DirectiveLink, interaction.DirectiveSeparate:
		other()
	case interaction.DirectiveRestore:
		if rapid.Bool().Draw(t, "of a pair") {
			other()
		}
	case interaction.DirectiveReplace:
		b := map[string]any{"namespace": space, "value": value(space, (person+1)%4)}
		if code, ok := a["store_code"]; ok {
			b["store_code"] = code
		}
		m["b"] = b
	case interaction.DirectiveErase:
		m["scope"] = rapid.SampledFrom([]interaction.Scope{interaction.ScopeIdentifier, interaction.ScopeCustomer}).Draw(t, "scope")
	}
	return encode(m)
}

// lines are the scenario in the order in which it was drawn.
func (s *scenario) lines() (lines []string) {
	for _, h := range s.first {
		lines = append(lines, h.line())
	}
	for _, e := range s.erases {
		lines = append(lines, happening{e, true}.line())
	}
	for _, h := range s.late {
		lines = append(lines, h.line())
	}
	return lines
}

// shuffled is the same in another order, some of it twice; the erases stay between what they find and what is late.
func (s *scenario) shuffled(t *rapid.T) (other scenario) {
	mix := func(list []happening) []happening {
		if len(list) == 0 {
			return nil
		}
		twice := rapid.SliceOfN(rapid.SampledFrom(list), 0, len(list)/2).Draw(t, "twice")
		return rapid.Permutation(append(slices.Clone(list), twice...)).Draw(t, "order")
	}
	return scenario{rules: s.rules, first: mix(s.first), erases: s.erases, late: mix(s.late)}
}
