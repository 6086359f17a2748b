package auth

import (
	"crypto/rand"
	"math/big"
	"strings"

	"nimbus"
)

// A key's text is nbs_<id>_<secret>: the prefix lets scanners find leaked keys, the id finds the record,
// the secret is 256 random bits in base 62.
const (
	prefix       = "nbs_"
	idLength     = 36
	secretLength = 43 // the digits that 256 bits take in base 62
	digits       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret returns 256 random bits in base 62, always of secretLength.
func newSecret() string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // crypto/rand never fails (it aborts the process)
	text := new(big.Int).SetBytes(bits[:]).Text(len(digits))
	return strings.Repeat("0", secretLength-len(text)) + text
}

func format(id nimbus.ID, secret string) string { return prefix + id.String() + "_" + secret }

// parse takes the text of a key apart; ok is false when it can't be one.
func parse(text string) (id nimbus.ID, secret string, ok bool) {
	rest, found := strings.CutPrefix(text, prefix)
	if !found || len(rest) != idLength+1+secretLength || rest[idLength] != '_' {
		return nimbus.ID{}, "", false
	}
	id, err := nimbus.ParseID(rest[:idLength])
	secret = rest[idLength+1:]
	return id, secret, err == nil && strings.Trim(secret, digits) == ""
}
