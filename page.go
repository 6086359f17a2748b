package nimbus

// Page asks for part of a list. Lists are ordered, and paged where they are stored.
type Page struct {
	Limit  int    // 1–100; 0 = 50
	Cursor string // as a former answer gave it; "" = from the start
}

// Page bounds.
const (
	DefaultPageLimit = 50
	MaxPageLimit     = 100
)

// Checked returns the page with its default filled in, or a CodeInvalid error naming the bound.
func (p Page) Checked() (Page, error) {
	if p.Limit == 0 {
		p.Limit = DefaultPageLimit
	}
	if p.Limit < 1 || p.Limit > MaxPageLimit {
		var v Invalid
		v.Add("limit", "must be 1 to %d", MaxPageLimit)
		return p, v.Err()
	}
	return p, nil
}

// List is one page of a list.
type List[T any] struct {
	Items []T
	Next  string // cursor of the next page; "" = this was the last
}
