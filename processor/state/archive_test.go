package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinfold/processor/table"
)

// contents is every file below a directory, by its hash and the time of its last change. Taking a lock changes the time of the
// lock's file, which is empty.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = fmt.Sprintf("%x", sha256.Sum256(b))
		if info, err := d.Info(); err == nil && d.Name() != lockFile {
			files[path] += info.ModTime().String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestArchiveReadsAStoppedProcessAndChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tienda")
	stores, err := OpenStores(Options{Dir: dir, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	st, err := stores.Open(shop.Partition, shop)
	if err != nil {
		t.Fatal(err)
	}
	put(t, st, set(table.Edges, "a", "1"), set(table.Edges, "b", "2"))
	want := st.Position()
	if _, err := OpenArchive(dir, nil); KindOf(err) != Locked {
		t.Errorf("archive of a running process: %v", err)
	}
	if err := errors.Join(st.Close(), stores.Close()); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)

	a, err := OpenArchive(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStores(Options{Dir: dir}); KindOf(err) != Locked {
		t.Errorf("a process starts while the archive is read: %v", err)
	}
	partitions, err := a.Partitions()
	if d := cmp.Diff([]int32{shop.Partition}, partitions); d != "" || err != nil {
		t.Errorf("partitions: %v %s", err, d)
	}
	id, position, err := a.Identity(shop.Partition)
	if err != nil || id != shop || position != want {
		t.Errorf("identity %v, position %v, %v", id, position, err)
	}
	snap, err := a.Snapshot(shop.Partition)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a=1", "b=2"}, scan(t, snap, "")); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	if _, err := a.Snapshot(7); !errors.Is(err, ErrNoState) {
		t.Errorf("a partition that is not there: %v", err)
	}
	if err := errors.Join(snap.Close(), a.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, contents(t, dir)); d != "" {
		t.Errorf("the archive changed files (-before +after):\n%s", d)
	}
	if _, err := a.Snapshot(shop.Partition); !errors.Is(err, ErrClosed) {
		t.Errorf("an archive that is closed: %v", err)
	}
}

func TestArchiveSaysWhatIsNotThere(t *testing.T) {
	files := NewMemoryFS()
	openStore(t, files)
	for _, dir := range []string{"/var/lib/other/app", "/var/lib/made/and/0"} {
		if err := files.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"/nada", "/var/lib/other"} {
		if _, err := OpenArchive(dir, files); !errors.Is(err, ErrNoState) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	made, err := OpenArchive("/var/lib/made/and", files)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	if _, _, err := made.Identity(0); !errors.Is(err, ErrNoState) {
		t.Errorf("a partition that nothing was written to: %v", err)
	}
	if err := files.MkdirAll("/var/lib/kinfold/zweite/0", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenArchive("/var/lib/kinfold", files); err == nil || !strings.Contains(err.Error(), `["/var/lib/kinfold/tienda" "/var/lib/kinfold/zweite"]`) {
		t.Errorf("two apps: %v", err)
	}
}

// A process that was killed leaves rows in the log of its store only.
func TestArchiveReadsWhatAKilledProcessLeft(t *testing.T) {
	memory := NewMemoryFS()
	st := openStore(t, memory)
	put(t, st, set(table.Edges, "a", "1"))
	if err := st.Sync(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive("/var/lib/kinfold", memory.Kill()) // the only app in it
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Dir() != appDir {
		t.Errorf("the app is in %s", a.Dir())
	}
	snap, err := a.Snapshot(shop.Partition)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if got := get(t, snap, "a"); got != "1" {
		t.Errorf("a = %q", got)
	}
}
