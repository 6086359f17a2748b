// A function in Go: the event comes on stdin, what goes to stdout is the result, and stderr is the log.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	var event struct {
		Name  string `json:"name"`
		Query struct {
			Name string `json:"name"`
		} `json:"queryStringParameters"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		log.Fatalf("read the event: %v", err)
	}
	name := cmp.Or(event.Name, event.Query.Name, "world")
	log.Printf("greeting %s", name)
	answer := map[string]string{"message": fmt.Sprintf("Hello, %s!", name)}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		log.Fatalf("write the answer: %v", err)
	}
}
