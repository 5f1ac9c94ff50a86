// What other implementations say of a log's checkpoints, proofs and witnesses, and what they sign:
//
//	go_counterparties key NAME FILE             makes a log's key: its secret half to FILE, prints the verifier key
//	go_counterparties sign NAME                 a signer of ML-DSA-44 cosignatures over HTTP; prints its address and key
//	go_counterparties proof POLICY BUNDLE       torchwood checks the bundle's proof under a log policy
//	go_counterparties cosigned FILE LOG KEY...  formats opens the checkpoint in FILE under the log's and each witness's key
//	go_counterparties subtree URL KEY FILE...   the witness at URL cosigns a part of the tree of the entries in the files, of
//	                                            which the first has its checkpoint; formats verifies that
package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"filippo.io/torchwood"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var failed = false

func check(part, what string, right bool) {
	word := "ok"
	if !right {
		word, failed = "FAILED", true
	}
	fmt.Printf("%s %s: %s\n", word, part, what)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func key(name, file string) {
	secret, public, err := note.GenerateKey(rand.Reader, name)
	must(err)
	must(os.WriteFile(file, []byte(secret), 0o600))
	fmt.Println(public)
}

// signer answers add-checkpoint as C2SP tlog-witness has it, but looks at no proof: what is tested is its signature.
type signer struct {
	mutex sync.Mutex
	key   note.Signer
	sizes map[string]string
}

func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/add-checkpoint" {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	head, signed, found := strings.Cut(string(body), "\n\n")
	text, _, whole := strings.Cut(signed, "\n\n")
	lines := strings.Split(text, "\n")
	if err != nil || !found || !whole || len(lines) < 3 {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	last := s.sizes[lines[0]]
	if last == "" {
		last = "0"
	}
	if old, _, _ := strings.Cut(head, "\n"); old != "old "+last {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, last)
		return
	}
	cosigned, err := note.Sign(&note.Note{Text: text + "\n"}, s.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.sizes[lines[0]] = lines[1]
	_, signatures, _ := strings.Cut(string(cosigned), "\n\n")
	io.WriteString(w, signatures)
}

func sign(name string) {
	secret, public, err := formats.GenerateMLDSAKey(name)
	must(err)
	key, err := formats.NewSignerForCosignatureV1(secret)
	must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Printf("listening on http://%s as %s\n", listener.Addr(), public)
	must(http.Serve(listener, &signer{key: key, sizes: map[string]string{}}))
}

func proof(policyFile, bundle string) {
	text, err := os.ReadFile(policyFile)
	must(err)
	policy, err := torchwood.ParsePolicy(text)
	check("torchwood", "the log policy is read", err == nil)
	must(err)
	file, err := os.ReadFile(filepath.Join(bundle, "record.tlog-proof"))
	must(err)
	entry, err := os.ReadFile(filepath.Join(bundle, "entry.json"))
	must(err)
	err = torchwood.VerifyProof(policy, tlog.RecordHash(entry), file)
	check("torchwood", "the bundle's proof holds under the policy", err == nil)
	entry[len(entry)/2] ^= 1
	var record *torchwood.VerifyRecordError
	err = torchwood.VerifyProof(policy, tlog.RecordHash(entry), file)
	check("torchwood", "another entry is refused", errors.As(err, &record))
	lines := strings.Split(string(file), "\n")
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, "— witness") {
			kept = append(kept, line)
		}
	}
	err = torchwood.VerifyProof(policy, tlog.RecordHash(entry), []byte(strings.Join(kept, "\n")))
	check("torchwood", "without the witnesses' lines it is refused", err != nil && !errors.As(err, &record))
}

func cosigned(file, log string, keys []string) {
	data, err := os.ReadFile(file)
	must(err)
	verifier, err := note.NewVerifier(log)
	must(err)
	for _, key := range keys {
		witness, err := formats.NewVerifierForCosignatureV1(key)
		must(err)
		part := "ed25519 in go"
		if len(key) > 1000 { // type 06
			part = "ml-dsa in go"
		}
		opened, err := note.Open(data, note.VerifierList(verifier, witness))
		check(part, "the cosignature of "+witness.Name()+" verifies", err == nil && len(opened.Sigs) == 2)
		if err != nil || len(opened.Sigs) != 2 {
			continue
		}
		size := strings.Split(opened.Text, "\n")[1]
		number, err := strconv.Atoi(size)
		must(err)
		other := strings.Replace(string(data), "\n"+size+"\n", "\n"+strconv.Itoa(number+1)+"\n", 1)
		_, err = note.Open([]byte(other), note.VerifierList(witness))
		check(part, "of another size it does not", err != nil)
	}
}

// subtree has the first leaf of a log of two cosigned by itself.
func subtree(url, key string, files []string) {
	signed, err := os.ReadFile(files[0])
	must(err)
	var leaves []tlog.Hash
	for _, file := range files[1:] {
		entry, err := os.ReadFile(file)
		must(err)
		leaves = append(leaves, tlog.RecordHash(entry))
	}
	request := fmt.Sprintf("subtree 0 1\n%s\n%s\n\n%s", leaves[0], leaves[1], signed)
	response, err := http.Post(url+"/sign-subtree", "text/plain", strings.NewReader(request))
	must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	must(err)
	verifier, err := formats.NewMLDSAVerifier(key)
	must(err)
	fields := strings.Fields(string(body))
	check("ml-dsa in go", "a part of a tree is cosigned", response.StatusCode == http.StatusOK && len(fields) == 3)
	if len(fields) != 3 {
		return
	}
	signature, err := base64.StdEncoding.DecodeString(fields[2])
	must(err)
	origin, _, _ := strings.Cut(string(signed), "\n")
	right := verifier.VerifySubtree(0, origin, 0, 1, leaves[0][:], signature[4:])
	check("ml-dsa in go", "and the cosignature verifies", right && signature[11] == 0)
	check("ml-dsa in go", "of another part it does not", !verifier.VerifySubtree(0, origin, 1, 2, leaves[0][:], signature[4:]))
}

func main() {
	arguments := append(os.Args[1:], "", "", "")
	switch arguments[0] {
	case "key":
		key(arguments[1], arguments[2])
	case "sign":
		sign(arguments[1])
	case "proof":
		proof(arguments[1], arguments[2])
	case "cosigned":
		cosigned(os.Args[2], os.Args[3], os.Args[4:])
	case "subtree":
		subtree(os.Args[2], os.Args[3], os.Args[4:])
	default:
		fmt.Fprintln(os.Stderr, "go_counterparties key|sign|proof|cosigned|subtree …")
		os.Exit(3)
	}
	if failed {
		os.Exit(1)
	}
}
