package spawn

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Control is the descriptor of a zygote's control socket: SEQPACKET, one message a request or reply.
const Control = 3

// MaxMessage bounds a message, in bytes.
const MaxMessage = 1 << 20

// The kinds of reply.
const (
	Ready     = 'R' // the zygote takes requests
	Forked    = 'F' // with the pidfd of the instance
	Exited    = 'X' // with the wait status
	NotForked = 'E' // with a text; of number 0: the zygote itself could not start
)

// Reply is a message of a zygote.
type Reply struct {
	Kind   byte
	Seq    uint64 // of the request
	Status int32  // wait status
	Text   string
}

const replySize = 1 + 8 + 4

// Append appends the message to b.
func (r Reply) Append(b []byte) []byte {
	b = append(b, r.Kind)
	b = binary.NativeEndian.AppendUint64(b, r.Seq)
	b = binary.NativeEndian.AppendUint32(b, uint32(r.Status))
	return append(b, r.Text...)
}

// ParseReply reads a message.
func ParseReply(b []byte) (Reply, error) {
	if len(b) < replySize {
		return Reply{}, fmt.Errorf("a reply of %d bytes", len(b))
	}
	return Reply{Kind: b[0], Seq: binary.NativeEndian.Uint64(b[1:]), Status: int32(binary.NativeEndian.Uint32(b[9:])),
		Text: string(b[replySize:])}, nil
}

// Request asks a zygote for an instance. Descriptors go with it: the runtime's socket, stdout, stderr, and the
// files by which cgroups are entered.
type Request struct {
	Seq    uint64
	UID    uint32   // of the instance, and its group id
	Tmp    int64    // bytes of /tmp
	Inodes int64    // files in it
	Env    []string // wins over the runtime's; a zygote that forks takes none
}

const requestSize = 8 + 4 + 8 + 8

// Append appends the message to b.
func (r Request) Append(b []byte) ([]byte, error) {
	b = binary.NativeEndian.AppendUint64(b, r.Seq)
	b = binary.NativeEndian.AppendUint32(b, r.UID)
	b = binary.NativeEndian.AppendUint64(b, uint64(r.Tmp))
	b = binary.NativeEndian.AppendUint64(b, uint64(r.Inodes))
	if len(r.Env) == 0 {
		return b, nil
	}
	env, err := json.Marshal(r.Env)
	return append(b, env...), err
}

// ParseRequest reads a message.
func ParseRequest(b []byte) (Request, error) {
	if len(b) < requestSize {
		return Request{}, fmt.Errorf("a request of %d bytes", len(b))
	}
	r := Request{Seq: binary.NativeEndian.Uint64(b), UID: binary.NativeEndian.Uint32(b[8:]),
		Tmp: int64(binary.NativeEndian.Uint64(b[12:])), Inodes: int64(binary.NativeEndian.Uint64(b[20:]))}
	if len(b) == requestSize {
		return r, nil
	}
	if err := json.Unmarshal(b[requestSize:], &r.Env); err != nil {
		return r, fmt.Errorf("a request's environment: %w", err)
	}
	return r, nil
}

// Setup is the first message to a zygote, as JSON.
type Setup struct {
	Policy
	Bootstrap string   `json:"bootstrap,omitempty"` // of a zygote that forks: the module to load
	Argv      []string `json:"argv,omitempty"`      // of one that executes
	Env       []string `json:"env,omitempty"`
}

// Policy is what all instances are held to. The driver decides; zygotes carry it out.
type Policy struct {
	Filter   string   `json:"filter"`    // the seccomp program, in hex
	SHM      int64    `json:"shm"`       // bytes of /dev/shm
	OOMScore int      `json:"oom_score"` // oom_score_adj
	Masked   []string `json:"masked"`    // files of /proc that are hidden where others may read or write them
	Landlock *Ruleset `json:"landlock"`  // nil = this kernel has none
}

// Ruleset is Landlock's: rights that only its rules give.
type Ruleset struct {
	Handled uint64 `json:"handled"`
	Rules   []Rule `json:"rules"`
}

// Rule gives rights below a path.
type Rule struct {
	Path   string `json:"path"`
	Access uint64 `json:"access"`
}
