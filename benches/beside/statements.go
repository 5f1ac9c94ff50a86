package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/veraison/go-cose"
)

func readPEM(path string) []byte {
	data, err := os.ReadFile(path)
	must(err)
	block, _ := pem.Decode(data)
	if block == nil {
		must(fmt.Errorf("%s: no PEM", path))
	}
	return block.Bytes
}

// signStatements writes statements to a file, each behind its length.
func signStatements(keyFile, certificateFile string, count int, path string) {
	key, err := x509.ParsePKCS8PrivateKey(readPEM(keyFile))
	must(err)
	signer, err := cose.NewSigner(cose.AlgorithmES256, key.(*ecdsa.PrivateKey))
	must(err)
	certificate := readPEM(certificateFile)
	file, err := os.Create(path)
	must(err)
	out := bufio.NewWriter(file)
	for range count {
		var id [16]byte
		_, err := rand.Read(id[:])
		must(err)
		headers := cose.Headers{Protected: cose.ProtectedHeader{
			cose.HeaderLabelAlgorithm:   cose.AlgorithmES256,
			cose.HeaderLabelContentType: "application/json",
			cose.HeaderLabelCWTClaims: cose.CWTClaims{
				cose.CWTClaimIssuer:  "https://issuer.example",
				cose.CWTClaimSubject: fmt.Sprintf("vcon://%x", id),
			},
			cose.HeaderLabelX5Chain: certificate,
		}}
		payload := fmt.Sprintf(`{"operation":"vcon.scored","call":"%x","score":17,"of":20,"at":"2026-07-01T12:00:00Z"}`, id)
		statement, err := cose.Sign1(rand.Reader, signer, headers, []byte(payload), nil)
		must(err)
		must(binary.Write(out, binary.BigEndian, uint32(len(statement))))
		_, err = out.Write(statement)
		must(err)
	}
	must(out.Flush())
	must(file.Close())
}

func readStatements(path string) [][]byte {
	data, err := os.ReadFile(path)
	must(err)
	var statements [][]byte
	for len(data) > 0 {
		end := 4 + binary.BigEndian.Uint32(data)
		statements = append(statements, data[4:end])
		data = data[end:]
	}
	return statements
}

// register sends each statement once; an answer that is not a receipt ends it.
func register(base, file string, connections int, measured time.Duration) {
	where, err := url.Parse(base)
	must(err)
	var requests [][]byte
	for _, statement := range readStatements(file) {
		var request bytes.Buffer
		fmt.Fprintf(&request, "POST /entries HTTP/1.1\r\nHost: %s\r\nContent-Type: application/cose\r\nContent-Length: %d\r\n\r\n",
			where.Host, len(statement))
		request.Write(statement)
		requests = append(requests, request.Bytes())
	}
	var sent atomic.Int64
	next := func() []byte {
		n := int(sent.Add(1)) - 1
		if n >= len(requests) {
			must(errors.New("there were too few statements"))
		}
		return requests[n]
	}
	check := func(answer *http.Response, body []byte) error {
		var receipt cose.Sign1Message
		if answer.StatusCode != http.StatusCreated {
			return fmt.Errorf("status %d: %.200q", answer.StatusCode, body)
		}
		if err := receipt.UnmarshalCBOR(body); err != nil || len(receipt.Signature) == 0 {
			return errors.Join(errors.New("not a receipt"), err)
		}
		return nil
	}
	figures := load(where.Host, connections, measured, nil, next, check)
	fmt.Printf("%.1f %.2f %.2f\n", figures.rate, figures.p50, figures.p99)
}
