// What benches/beside.sh measures others with, and ours over HTTP:
//
//	beside tessera DIR ENTRIES BATCH memory|disk          appends to Tessera's POSIX log; a line "SIZE SECONDS" at every doubling
//	beside statements KEY CERTIFICATE COUNT FILE          signs statements (go-cose) and keeps them
//	beside register URL FILE CONNECTIONS SECONDS          registers them at a transparency service, until the receipt is here
//	beside read URL TILES CONNECTIONS SECONDS PID,...     reads full tiles; PIDs are the server's processes
//
// The last two print "RATE P50_MS P99_MS"; read also prints the microseconds of the server's cores a request, and a digest
// of all tiles.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "beside:", err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	must(err)
	return value
}

func seconds(text string) time.Duration { return time.Duration(number(text)) * time.Second }

func main() {
	arguments := os.Args[1:]
	is := func(name string, count int) bool { return len(arguments) == count+1 && arguments[0] == name }
	switch {
	case is("tessera", 4):
		appendAll(arguments[1], number(arguments[2]), number(arguments[3]), arguments[4] == "disk")
	case is("statements", 4):
		signStatements(arguments[1], arguments[2], number(arguments[3]), arguments[4])
	case is("register", 4):
		register(arguments[1], arguments[2], number(arguments[3]), seconds(arguments[4]))
	case is("read", 5):
		readTiles(arguments[1], number(arguments[2]), number(arguments[3]), seconds(arguments[4]), arguments[5])
	default:
		fmt.Fprintln(os.Stderr, "usage: beside tessera|statements|register|read ...")
		os.Exit(2)
	}
}
