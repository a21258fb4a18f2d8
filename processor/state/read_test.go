package state

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/table"
)

// contents reads all files below a directory, locks aside.
func fileContents(t *testing.T, fs FS, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			for name, text := range fileContents(t, fs, path) {
				found[name] = text
			}
			continue
		}
		f, err := fs.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		found[path] = string(b)
	}
	return found
}

// TestAStoppedStoreIsReadAndNotChanged reads rows of a store whose process was killed, the last of them in Pebble's log only.
func TestAStoppedStoreIsReadAndNotChanged(t *testing.T) {
	live := NewMemoryFS()
	st := openStore(t, live)
	o := st.NewOverlay()
	o.Put([]table.Row{set(table.Components, "a", "ñ"), set(table.Components, "b", "ç")})
	if err := st.Apply(o, Position{Transaction: 1, KeyedNext: 7}, nil); err != nil {
		t.Fatal(err)
	}
	if err := st.Sync(); err != nil {
		t.Fatal(err)
	}
	fs := live.Kill()
	before := fileContents(t, fs, appDir)

	s, err := OpenStopped("/var/lib/kinfold", fs) // the only app in it
	if err != nil {
		t.Fatal(err)
	}
	if s.AppDir() != appDir {
		t.Errorf("app is in %s", s.AppDir())
	}
	if partitions, err := s.Partitions(); err != nil || !cmp.Equal(partitions, []int32{shop.Partition}) {
		t.Errorf("partitions %v, %v", partitions, err)
	}
	if _, err := s.Open(shop.Partition, shop); err == nil {
		t.Error("a directory that is opened for reading can be opened for writing")
	}
	read, err := s.Read(shop.Partition)
	if err != nil {
		t.Fatal(err)
	}
	if read.Identity() != shop || read.Position().KeyedNext != 7 {
		t.Errorf("identity %v, position %v", read.Identity(), read.Position())
	}
	view := read.NewOverlay()
	if b, err := view.Get(table.Components, []byte("b")); err != nil || string(b) != "ç" {
		t.Errorf("row is %q, %v", b, err)
	}
	var keys string
	if err := view.Scan(table.Components, nil, func(key, _ []byte) bool { keys += string(key); return true }); err != nil || keys != "ab" {
		t.Errorf("keys %q, %v", keys, err)
	}
	if _, err := OpenStores(Options{Dir: appDir, FS: fs}); KindOf(err) != Locked {
		t.Errorf("a process may start meanwhile: %v", err)
	}
	if err := read.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(before, fileContents(t, fs, appDir)); d != "" {
		t.Errorf("reading changed files (-before +after):\n%s", d)
	}
}

func TestOnlyTheStateOfAStoppedProcessIsRead(t *testing.T) {
	fs := NewMemoryFS()
	openStore(t, fs)
	if _, err := OpenStopped(appDir, fs); KindOf(err) != Locked {
		t.Errorf("the state of a running process: %v", err)
	}
	if _, err := OpenStopped("/nada", fs); err == nil || !strings.Contains(err.Error(), "/nada") {
		t.Errorf("no directory: %v", err)
	}
	if err := fs.MkdirAll("/var/lib/other/app", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStopped("/var/lib/other", fs); err == nil || !strings.Contains(err.Error(), "holds no store") {
		t.Errorf("a directory without stores: %v", err)
	}
	if err := fs.MkdirAll("/var/lib/kinfold/zweite/0", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStopped("/var/lib/kinfold", fs); err == nil || !strings.Contains(err.Error(), `["/var/lib/kinfold/tienda" "/var/lib/kinfold/zweite"]`) {
		t.Errorf("two apps: %v", err)
	}
}
