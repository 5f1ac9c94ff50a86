// Command use is a client generated for Go: it submits, reads the receipt, collects, verifies, runs a batch.
//
// use URL CALL UUID...: CALL is a file with an unsigned vCon; of each UUID a call of its own is made.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	client "client.example/affiant/client"
)

func check(what string, holds bool) {
	word := "FAILED"
	if holds {
		word = "ok"
	}
	fmt.Printf("%s client go: %s\n", word, what)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// made writes a file of this name, to be sent.
func made(folder, name string, content []byte) *os.File {
	file := must(os.Create(filepath.Join(folder, name)))
	must(file.Write(content))
	must(file.Seek(0, io.SeekStart))
	return file
}

func main() {
	url, path, first, others := os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	folder := must(os.MkdirTemp("", "use"))
	defer os.RemoveAll(folder)
	template := must(os.ReadFile(path))
	of := func(uuid string) map[string]interface{} {
		var call map[string]interface{}
		if err := json.Unmarshal(template, &call); err != nil {
			log.Fatal(err)
		}
		call["uuid"] = uuid
		return call
	}
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: url}}
	api := client.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), client.ContextAccessToken, os.Getenv("AFFIANT_TOKEN"))

	receipt, _, err := api.RecordsAPI.Submit(ctx).RequestBody(of(first)).Execute()
	must(receipt, err)
	check("submitted", receipt.Status == client.INCLUDED && receipt.Uuid == first && !receipt.Repeated)
	again, _, err := api.RecordsAPI.ReadReceipt(ctx, receipt.Record).Execute()
	check("the receipt is read again", must(again, err).Index == receipt.Index)
	record, _, err := api.RecordsAPI.Read(ctx, first).Execute()
	check("the record is read", len(must(record, err).Signatures) == 1)
	bundle, _, err := api.RecordsAPI.Bundle(ctx, receipt.Record).Execute()
	must(bundle, err)
	begin := make([]byte, 2)
	must(io.ReadFull(bundle, begin))
	check("the bundle is collected", string(begin) == "PK")

	must(bundle.Seek(0, io.SeekStart))
	other := made(folder, "other.wav", []byte("other"))
	report, _, err := api.VerificationAPI.Verify(ctx).Record(bundle).Recording([]*os.File{other}).Execute()
	must(report, err)
	check("the bundle verifies", report.Ledger.Status == "INCLUDED" && report.Rows[0].Answer == "yes")
	named := 0
	for _, one := range report.Recordings {
		if file := one.File.Get(); file != nil && *file == "other.wav" {
			named++
		}
	}
	check("the recording is judged", named == 1)

	var lines strings.Builder
	for _, uuid := range others {
		lines.Write(must(json.Marshal(of(uuid))))
		lines.WriteByte('\n')
	}
	lines.WriteString("{}\n")
	answer, _, err := api.RecordsAPI.Batches(ctx).Body(lines.String()).Execute()
	must(answer, err)
	var results []client.BatchLine
	for _, text := range strings.Split(strings.TrimSpace(string(must(io.ReadAll(answer)))), "\n") {
		var line client.BatchLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			log.Fatal(err)
		}
		results = append(results, line)
	}
	counted := len(results) == len(others)+1
	for index, line := range results {
		counted = counted && line.Line == int64(index+1)
	}
	check("a batch has a line for each", counted)
	typed := true
	for index, line := range results[:len(others)] {
		typed = typed && line.Receipt != nil && line.Receipt.Uuid == others[index]
	}
	check("its receipts are typed", typed)
	last := results[len(others)]
	check("its problem is typed", last.Problem != nil && last.Problem.Status == 422 && last.Receipt == nil)

	_, _, err = api.RecordsAPI.ReadReceipt(ctx, "sha256-"+strings.Repeat("A", 43)).Execute()
	var answered *client.GenericOpenAPIError
	holds := errors.As(err, &answered)
	if holds {
		problem, typed := answered.Model().(client.Problem)
		holds = typed && problem.Status == 404 && problem.Type == "urn:affiant:problem:not-found"
	}
	check("what is not there is a problem", holds)
}
