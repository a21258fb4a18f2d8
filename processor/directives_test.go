package processor_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/interaction"
	"kinfold/processor/state"
	"kinfold/schemas"
)

func visit(id, store, user, email string, minute int) string {
	return fmt.Sprintf(`{"event_id": %q, "source": "caja", "channel": "pos", "type": "order.placed", "store_code": %q, "user_id": %q, "occurred_at": %d, "identifiers": [{"namespace": "email", "value": %q}]}`,
		id, store, user, 1767225600000+int64(minute)*60000, email)
}

const issued = 1767400000000

func order(id, kind, more string) string {
	return fmt.Sprintf(`{"directive_id": %q, "kind": %q, "realm": "default", "issued_at": %d, %s}`, id, kind, issued, more)
}

// TestDirectivesOfAStewardAreTakenIn links two codes that nothing ties, in JSON and in Avro, and rejects what is none.
func TestDirectivesOfAStewardAreTakenIn(t *testing.T) {
	onEachBroker(t, func(r *rig) {
		t := r.t
		for _, format := range []config.Format{config.FormatJSON, config.FormatAvro} {
			t.Run(string(format), func(t *testing.T) {
				r := newRig(t, r.kafka.Brokers)
				r.configure = func(c *config.Config) { c.Topics.IdentityDirectivesFormat = format }
				p := r.start(state.NewMemoryFS())
				p.isReady()
				link := order("d1", "link", `"a": {"namespace": "user", "store_code": "S01", "value": "ñandú"}, "b": {"namespace": "user", "store_code": "S02", "value": "7"}, "author": "Conceição"`)
				broken := order("d2", "marry", `"a": {"namespace": "user", "store_code": "S01", "value": "ñandú"}`)
				if format == config.FormatAvro {
					d := interaction.Directive{ID: "d1", Kind: interaction.DirectiveLink, Realm: "default", IssuedAt: issued,
						A: &interaction.Target{Namespace: "user", StoreCode: "S01", Value: "ñandú"}, B: &interaction.Target{Namespace: "user", StoreCode: "S02", Value: "7"}}
					link = string(schemas.AppendDirective(schemas.SingleObject().Append(nil, schemas.KindDirective), &d))
					d.Kind = "marry"
					broken = string(schemas.AppendDirective(schemas.SingleObject().Append(nil, schemas.KindDirective), &d))
				}
				r.direct(link, broken, link)
				r.feed(visit("e1", "S01", "ñandú", "uno@correo.example", 1), visit("e2", "S02", "7", "dos@correo.example", 2))
				r.drained()
				out := r.outputs()
				if got := slices.Compact(slices.Sorted(maps.Values(out.customers()))); len(got) != 1 {
					t.Errorf("customers %v, want one: the link waited for both", got)
				}
				if len(out.rejects) != 1 || headers(out.rejects[0])["reject.reason"] != "bad_directive" {
					t.Errorf("%d rejects, want one bad_directive", len(out.rejects))
				}
				if got := p.p.Totals(); got.Directive != 1 || got.Duplicate != 1 {
					t.Errorf("totals %+v, want one directive and one duplicate of it", got)
				}
			})
		}
	})
}

// TestEraseLeavesNoByteInTheFiles forgets a customer, looks for the values in every file of the state, and lets a late event
// come after the disk was lost.
func TestEraseLeavesNoByteInTheFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t, embeddedBroker(t))
	dir := t.TempDir()
	r.configure = func(c *config.Config) {
		c.StateDir = dir
		c.Identity.EraseEnabled = true
	}
	q := r.startWith(processor.Options{})
	q.isReady()
	secret := "olvídame-conceição"
	r.feed(visit("e1", "S01", secret, "olvidame@correo.example", 1), visit("e2", "S02", "otra", "otra@correo.example", 2))
	r.drained()
	erase := `"a": {"namespace": "user", "store_code": "S01", "value": "` + secret + `"}, "scope": "customer"`
	r.direct(order("dry", "erase", erase+`, "dry_run": true`))
	if n := len(r.outputs().changes); n != 2 {
		t.Fatalf("%d changes after a dry run, want the two that were there", n)
	}
	if err := q.stop(); err != nil { // which syncs
		t.Fatal(err)
	}
	if !inFiles(t, dir, secret) || !inFiles(t, dir, "olvidame@") {
		t.Fatal("the state does not hold the values before they are erased: the test looks in the wrong place")
	}
	q = r.startWith(processor.Options{})
	q.isReady()
	r.direct(order("real", "erase", erase))
	r.until(func() bool { return !inFiles(t, dir, secret) && !inFiles(t, dir, "olvidame@") })
	if !inFiles(t, dir, "otra@correo.example") {
		t.Error("the other customer is gone, too")
	}
	out := r.outputs()
	last := out.changes[len(out.changes)-1]
	if last.Kind != interaction.ChangeErased || len(last.RemovedHMAC) != 2 || len(last.Left) != 0 || last.DirectiveID != "real" {
		t.Errorf("last change %+v", last)
	}
	if len(out.idmap) != 2 {
		t.Errorf("map %v, want the two identifiers of the other customer", out.idmap)
	}

	if err := q.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	q = r.startWith(processor.Options{})
	q.isReady()
	r.feed(visit("late", "S01", secret, "olvidame@correo.example", 3), visit("back", "S01", secret, "nueva@correo.example", 10000))
	r.drained()
	for _, e := range r.outputs().events {
		switch {
		case e.SourceEventID == "late" && e.Status != "unidentified":
			t.Errorf("the late event is %+v, want unidentified", e)
		case e.SourceEventID == "back" && (e.Customer != string(last.CustomerID) || e.Version != last.Version+1):
			t.Errorf("the person came back as %+v, want version %d of %s", e, last.Version+1, last.CustomerID)
		}
	}
}

func inFiles(t *testing.T, dir, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files come and go while the process runs
		}
		b, err := os.ReadFile(path)
		found = found || err == nil && bytes.Contains(b, []byte(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
