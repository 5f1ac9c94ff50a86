// Verifies a ledger with Go's sumdb packages: go_tlog URL BUNDLE LOG_KEY WITNESS_KEY. The checkpoint is opened as a signed
// note, the bundle's proof is checked, and the tree and every proof in it are made again from the tiles.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

var failed = false

func check(what string, right bool) {
	word := "ok"
	if !right {
		word, failed = "FAILED", true
	}
	fmt.Println(word, "go:", what)
}

func must(err error) {
	if err != nil {
		fmt.Println("FAILED go:", err)
		os.Exit(1)
	}
}

// checkpoint opens a signed note of the log and gives the tree in it.
func checkpoint(data []byte, log note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(data, note.VerifierList(log))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != log.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of the log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// tiles reads tiles over HTTP; C2SP leaves the height out of the path that this package has.
type tiles struct {
	url     string
	altered bool
}

func get(address string) ([]byte, error) {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(address)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(address + ": " + response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 64<<20))
}

func (t tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		data, err := get(t.url + "/" + strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		if t.altered {
			data[len(data)/2] ^= 1
		}
		read = append(read, data)
	}
	return read, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// entries reads the first size entries out of the tiles of level "entries".
func entries(url string, size int64) ([][]byte, error) {
	var all [][]byte
	for first := int64(0); first < size; first += 1 << tileHeight {
		width := size - first
		if width > 1<<tileHeight {
			width = 1 << tileHeight
		}
		tile := tlog.Tile{H: tileHeight, L: -1, N: first >> tileHeight, W: int(width)}
		data, err := get(url + "/" + strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1))
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, errors.New("an entry bundle breaks off")
			}
			length := int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
	}
	return all, nil
}

// inclusion reads a proof of C2SP tlog-proof: its index, its hashes, its checkpoint.
func inclusion(data []byte) (index int64, proof tlog.RecordProof, signed []byte, err error) {
	head, signed, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return 0, nil, nil, errors.New("not a proof")
	}
	if index, err = strconv.ParseInt(lines[1][len("index "):], 10, 64); err != nil {
		return 0, nil, nil, err
	}
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return 0, nil, nil, err
		}
		proof = append(proof, hash)
	}
	return index, proof, signed, nil
}

func main() {
	if len(os.Args) != 5 {
		fmt.Println("FAILED go: go_tlog URL BUNDLE LOG_KEY WITNESS_KEY")
		os.Exit(3)
	}
	url, bundle := os.Args[1], os.Args[2]
	log, err := note.NewVerifier(os.Args[3])
	must(err)

	// The bundle.
	file, err := os.ReadFile(filepath.Join(bundle, "record.tlog-proof"))
	must(err)
	entry, err := os.ReadFile(filepath.Join(bundle, "entry.json"))
	must(err)
	index, proof, signed, err := inclusion(file)
	must(err)
	old, err := checkpoint(signed, log)
	check("the bundle's checkpoint opens under the log's key", err == nil)
	opened, err := note.Open(signed, note.VerifierList(log))
	check("the witness's line is one of a key that is not known here", err == nil && len(opened.UnverifiedSigs) == 1 &&
		opened.UnverifiedSigs[0].Name == strings.SplitN(os.Args[4], "+", 2)[0])
	leaf := tlog.RecordHash(entry)
	check("the bundle's proof holds", tlog.CheckRecord(proof, old.N, old.Hash, index, leaf) == nil)
	altered := append([]byte(nil), entry...)
	altered[len(altered)/2] ^= 1
	check("another entry is refused", tlog.CheckRecord(proof, old.N, old.Hash, index, tlog.RecordHash(altered)) != nil)
	check("another index is refused", tlog.CheckRecord(proof, old.N, old.Hash, index-1, leaf) != nil)
	refused := 0
	for place := range signed {
		other := append([]byte(nil), signed...)
		other[place] ^= 1
		if _, err := checkpoint(other, log); err != nil {
			refused++
		}
	}
	// All but the line of the witness, which nobody here can check, and which may change so long as it stays a line.
	line := bytes.Index(signed, []byte("\n\n")) + 2
	own := line + bytes.IndexByte(signed[line:], '\n')
	check(fmt.Sprintf("a checkpoint with an altered byte is refused (%d of %d)", refused, len(signed)), refused >= own)

	// The ledger.
	served, err := get(url + "/checkpoint")
	must(err)
	tree, err := checkpoint(served, log)
	check("the served checkpoint opens under the log's key", err == nil)
	reader := tlog.TileHashReader(tree, tiles{url: url})
	root, err := tlog.TreeHash(tree.N, reader)
	check(fmt.Sprintf("the tiles lead to the root of %d entries", tree.N), err == nil && root == tree.Hash)
	all, err := entries(url, tree.N)
	must(err)
	check("the entry tiles hold every entry", int64(len(all)) == tree.N && bytes.Equal(all[index], entry))
	right, proved := true, true
	empty, _ := base64.RawURLEncoding.DecodeString("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")
	previous := empty
	for n := range all {
		hash := tlog.RecordHash(all[n])
		chained := []byte(`"prev":"sha256-` + base64.RawURLEncoding.EncodeToString(previous) + `"`)
		right = right && bytes.Contains(all[n], chained)
		made, err := tlog.ProveRecord(tree.N, int64(n), reader)
		proved = proved && err == nil && tlog.CheckRecord(made, tree.N, tree.Hash, int64(n), hash) == nil
		previous = append([]byte(nil), hash[:]...)
	}
	check("every entry names the one before it", right)
	check("every entry is proved from the tiles", proved)
	made, err := tlog.ProveRecord(old.N, index, tlog.TileHashReader(old, tiles{url: url}))
	same := err == nil && len(made) == len(proof)
	for i := 0; same && i < len(made); i++ {
		same = made[i] == proof[i]
	}
	check("the proof made from the tiles is the bundle's", same)
	for _, size := range []int64{1, 2, 255, 256, 257, old.N} {
		consistency, err := tlog.ProveTree(tree.N, size, reader)
		must(err)
		smaller, err := tlog.TreeHash(size, reader)
		must(err)
		check(fmt.Sprintf("the tree of %d grew out of that of %d", tree.N, size),
			tlog.CheckTree(consistency, tree.N, tree.Hash, size, smaller) == nil)
	}
	_, err = tlog.ProveRecord(tree.N, 3, tlog.TileHashReader(tree, tiles{url: url, altered: true}))
	check("altered tiles are refused", err != nil)
	if failed {
		os.Exit(1)
	}
}
