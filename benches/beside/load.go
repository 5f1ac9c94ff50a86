package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long the load runs before it is measured.
const warmUp = 2 * time.Second

// Without an answer for so long, a server is stuck.
const patience = time.Minute

// A tile of 256 hashes.
const tileBytes = 256 * 32

// clockTicks is how many a second /proc counts in, on every Linux that Go runs on.
const clockTicks = 100

// figures are of the requests that were answered while it was measured; the times are in milliseconds.
type figures struct {
	rate, p50, p99, cpuMicros float64
}

// load keeps connections busy, each with one request at a time, until the time is over.
func load(address string, connections int, measured time.Duration, processes []string, next func() []byte,
	check func(*http.Response, []byte) error) figures {
	began := time.Now().Add(warmUp)
	end := began.Add(measured)
	taken := make([][]time.Duration, connections)
	var clients sync.WaitGroup
	for client := range connections {
		connection, err := net.Dial("tcp", address)
		must(err)
		clients.Go(func() {
			reader := bufio.NewReaderSize(connection, 16<<10)
			var body bytes.Buffer
			for sent := time.Now(); sent.Before(end); sent = time.Now() {
				must(connection.SetDeadline(sent.Add(patience)))
				_, err := connection.Write(next())
				must(err)
				answer, err := http.ReadResponse(reader, nil)
				must(err)
				body.Reset()
				_, err = body.ReadFrom(answer.Body)
				must(err)
				must(check(answer, body.Bytes()))
				if answer.Close {
					// nginx ends a connection after a thousand requests.
					must(connection.Close())
					connection, err = net.Dial("tcp", address)
					must(err)
					reader.Reset(connection)
				}
				if got := time.Now(); got.After(began) && got.Before(end) {
					taken[client] = append(taken[client], got.Sub(sent))
				}
			}
			must(connection.Close())
		})
	}
	time.Sleep(time.Until(began))
	used := cpu(processes)
	time.Sleep(time.Until(end))
	used = cpu(processes) - used
	clients.Wait()

	all := slices.Concat(taken...)
	if len(all) == 0 {
		must(fmt.Errorf("no answer within %v", measured))
	}
	slices.Sort(all)
	at := func(share float64) float64 { return all[int(float64(len(all)-1)*share)].Seconds() * 1000 }
	count := float64(len(all))
	return figures{count / measured.Seconds(), at(0.5), at(0.99), used.Seconds() * 1e6 / count}
}

// cpu is the time that the cores gave to these processes so far, all their threads together.
func cpu(processes []string) time.Duration {
	ticks := 0
	for _, process := range processes {
		data, err := os.ReadFile("/proc/" + process + "/stat")
		must(err)
		// Behind the name in brackets, which may have blanks: utime and stime are fields 14 and 15 (proc(5)).
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		for _, field := range fields[11:13] {
			value, err := strconv.Atoi(field)
			must(err)
			ticks += value
		}
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// tilePath is the path of a full tile of level 0 (C2SP tlog-tiles).
func tilePath(n int) string {
	if n < 1000 {
		return fmt.Sprintf("/tile/0/%03d", n)
	}
	return fmt.Sprintf("/tile/0/x%03d/%03d", n/1000, n%1000)
}

// readTiles reads the first full tiles of level 0, round and round.
func readTiles(base string, tiles, connections int, measured time.Duration, processes string) {
	where, err := url.Parse(base)
	must(err)
	requests := make([][]byte, tiles)
	digest := sha256.New()
	for n := range tiles {
		requests[n] = []byte(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", tilePath(n), where.Host))
		answer, err := http.Get(base + tilePath(n))
		must(err)
		_, err = io.Copy(digest, answer.Body)
		must(err)
		must(answer.Body.Close())
	}
	var sent atomic.Int64
	next := func() []byte { return requests[int(sent.Add(1))%tiles] }
	check := func(answer *http.Response, body []byte) error {
		if answer.StatusCode != http.StatusOK || len(body) != tileBytes {
			return fmt.Errorf("status %d and %d bytes", answer.StatusCode, len(body))
		}
		return nil
	}
	figures := load(where.Host, connections, measured, strings.Split(processes, ","), next, check)
	fmt.Printf("%.0f %.2f %.2f %.1f %x\n", figures.rate, figures.p50, figures.p99, figures.cpuMicros, digest.Sum(nil))
}
