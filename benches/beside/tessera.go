package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"github.com/transparency-dev/tessera/storage/posix/antispam"
	"golang.org/x/mod/sumdb/note"
)

// As in benches/size.rs: a ledger entry's bytes, appends under way at a time, and the first size that is told.
const (
	entryBytes = 300
	underWay   = 4000
	firstPoint = 12_500
)

// The least that the POSIX log takes.
const checkpointInterval = 100 * time.Millisecond

// How long an append that was pushed back waits before it is tried again.
const pushedBack = time.Millisecond

// entry is 300 bytes that no other entry has.
func entry(n int) []byte {
	data := make([]byte, 0, entryBytes+sha256.Size)
	for block := 0; len(data) < entryBytes; block++ {
		var seed [16]byte
		binary.BigEndian.PutUint64(seed[:8], uint64(n))
		binary.BigEndian.PutUint64(seed[8:], uint64(block))
		digest := sha256.Sum256(seed[:])
		data = append(data, digest[:]...)
	}
	return data[:entryBytes]
}

// appendAll appends entries, each of which is done when Tessera says that it is durable and integrated.
func appendAll(dir string, entries, batch int, onDisk bool) {
	ctx := context.Background()
	secret, _, err := note.GenerateKey(rand.Reader, "log.example/beside")
	must(err)
	signer, err := note.NewSigner(secret)
	must(err)
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	must(err)
	var seen tessera.Antispam
	if onDisk {
		seen, err = badger.NewAntispam(ctx, filepath.Join(dir, ".state", "antispam"), badger.AntispamOpts{})
		must(err)
	}
	log, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(checkpointInterval).
		WithBatching(uint(batch), tessera.DefaultBatchMaxAge).
		WithAntispam(tessera.DefaultAntispamInMemorySize, seen))
	must(err)

	var next, done atomic.Int64
	began := time.Now()
	points := make(map[int64]bool)
	for point := int64(min(firstPoint, entries)); !points[int64(entries)]; point = min(2*point, int64(entries)) {
		points[point] = true
	}
	var workers sync.WaitGroup
	for range underWay {
		workers.Go(func() {
			for n := next.Add(1) - 1; n < int64(entries); n = next.Add(1) - 1 {
				data := entry(int(n))
				_, err := log.Add(ctx, tessera.NewEntry(data))()
				for errors.Is(err, tessera.ErrPushback) {
					time.Sleep(pushedBack)
					_, err = log.Add(ctx, tessera.NewEntry(data))()
				}
				must(err)
				if size := done.Add(1); points[size] {
					fmt.Printf("%d %.4f\n", size, time.Since(began).Seconds())
				}
			}
		})
	}
	workers.Wait()
	must(shutdown(ctx))
}
