package state

import "kinfold/processor/table"

// Stats are the figures of a store.
type Stats struct {
	DiskBytes      uint64 // all its files
	MemTableBytes  uint64 // rows in memory that are not flushed yet
	CompactionDebt uint64 // bytes that compactions have still to rewrite, an estimate
	ReadLevels     int    // levels and sublevels that a read may have to look into
	WriteStalls    int64  // times that writes had to wait since the store was opened
	Stalled        bool   // writes wait now
	Tables         []TableStats
}

// TableStats is the size of a table in flushed files, an estimate.
type TableStats struct {
	Table table.ID
	Name  string
	Bytes uint64
}

// Stats returns the figures of the store, zero when it is closed. It reads a few index blocks: call it every few
// seconds, not for each record.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Stats{}
	}
	m := s.db.Metrics()
	st := Stats{
		DiskBytes:      m.DiskSpaceUsage(),
		MemTableBytes:  m.MemTable.Size,
		CompactionDebt: m.Compact.EstimatedDebt,
		ReadLevels:     m.ReadAmp(),
		WriteStalls:    s.watch.stalls.Load(),
		Stalled:        s.watch.stalled.Load(),
	}
	for _, info := range table.All {
		if bytes, err := s.db.EstimateDiskUsage([]byte{byte(info.ID)}, []byte{byte(info.ID) + 1}); err == nil {
			st.Tables = append(st.Tables, TableStats{info.ID, info.Name, bytes})
		}
	}
	return st
}

// SharedStats are the figures of what all stores share.
type SharedStats struct {
	CacheBytes  int64 // block cache in use
	CacheHits   int64
	CacheMisses int64
	SlowWrites  int64 // writes that took longer than 5 s; counted on the operating system's file system only
}

// Stats returns the figures of what all stores share.
func (s *Stores) Stats() SharedStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return SharedStats{SlowWrites: s.slow.Load()}
	}
	m := s.cache.Metrics()
	return SharedStats{CacheBytes: m.Size, CacheHits: m.Hits, CacheMisses: m.Misses, SlowWrites: s.slow.Load()}
}
