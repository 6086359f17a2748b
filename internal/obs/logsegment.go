package obs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"nimbus"
)

// The names of a log's files.
const (
	segmentSuffix = ".log"
	indexSuffix   = ".idx"
	tempSuffix    = ".tmp"
)

// segment is one file of a log.
type segment struct {
	path  string
	first uint64 // number of its first line
	size  int64  // bytes of whole frames, and the header
}

// indexPath returns where the segment's index is.
func (g segment) indexPath() string { return strings.TrimSuffix(g.path, segmentSuffix) + indexSuffix }

// segmentName is the time of the first line, for people, and its number.
func segmentName(at time.Time, first uint64) string {
	return fmt.Sprintf("%s-%016x%s", at.UTC().Format("20060102T150405.000000Z"), first, segmentSuffix)
}

func parseSegmentName(name string) (first uint64, ok bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(stem) < 17 || stem[len(stem)-17] != '-' {
		return 0, false
	}
	first, err := strconv.ParseUint(stem[len(stem)-16:], 16, 64)
	return first, err == nil
}

// listSegments returns a log's segments in order; none when there is no such directory. What a crash left
// half made is removed.
func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list a function's log: %w", err)
	}
	var segments []segment
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if strings.HasSuffix(entry.Name(), tempSuffix) {
			_ = os.Remove(path) // if it stays it only takes room
			continue
		}
		first, ok := parseSegmentName(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("list a function's log: %w", err)
		}
		segments = append(segments, segment{path: path, first: first, size: info.Size()})
	}
	slices.SortFunc(segments, func(a, b segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return segments, nil
}

// createSegment makes a new file with its header.
func createSegment(dir string, function nimbus.ID, at time.Time, first uint64) (*os.File, segment, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, segment{}, err
	}
	path := filepath.Join(dir, segmentName(at, first))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, segment{}, err
	}
	header := appendSegmentHeader(nil, function, first)
	if _, err := file.WriteAt(header, 0); err != nil {
		return nil, segment{}, errors.Join(err, file.Close(), os.Remove(path))
	}
	return file, segment{path: path, first: first, size: int64(len(header))}, nil
}

// openLast opens the last segment for writing. A torn end is cut off; a segment whose very header is torn is
// removed, and the one before it is the last. next is the number of the first line to come.
func openLast(function nimbus.ID, segments []segment) (
	file *os.File, index *indexBuilder, next uint64, left []segment, err error,
) {
	for len(segments) > 0 {
		last := &segments[len(segments)-1]
		file, index, next, err = openSegment(function, last)
		if err == nil {
			return file, index, next, segments, nil
		}
		if !errors.Is(err, errTorn) {
			return nil, nil, 0, nil, err
		}
		if err := os.Remove(last.path); err != nil {
			return nil, nil, 0, nil, fmt.Errorf("remove a torn segment: %w", err)
		}
		segments = segments[:len(segments)-1]
	}
	return nil, nil, 0, nil, nil
}

func openSegment(function nimbus.ID, g *segment) (*os.File, *indexBuilder, uint64, error) {
	file, err := os.OpenFile(g.path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("open a segment: %w", err)
	}
	index, next, end, err := scanSegment(file, function, g)
	if err == nil && end != g.size {
		err = file.Truncate(end)
	}
	if err == nil {
		// It would be stale as soon as a line is added.
		err = ignoreMissing(os.Remove(g.indexPath()))
	}
	if err != nil {
		return nil, nil, 0, errors.Join(fmt.Errorf("open a segment: %w", err), file.Close())
	}
	g.size = end
	return file, index, next, nil
}

// scanSegment reads a whole segment and makes its index. next is the number after its last whole frame's, end
// where that frame ends.
func scanSegment(r io.ReaderAt, function nimbus.ID, g *segment) (b *indexBuilder, next uint64, end int64, err error) {
	content, err := io.ReadAll(io.NewSectionReader(r, 0, g.size))
	if err != nil {
		return nil, 0, 0, err
	}
	if !checkSegmentHeader(content, function, g.first) {
		return nil, 0, 0, errTorn
	}
	b, next, end = &indexBuilder{}, g.first, segmentHeaderLen
	for {
		frame, n, err := decodeFrame(content[end:])
		if err != nil {
			return b, next, end, nil
		}
		b.add(next, end, end+int64(n), frame.micros, frame.invocation)
		end += int64(n)
		next++
	}
}

// readIndex returns the chunks of a segment that gets no more frames. An index that is missing or damaged is
// made again.
func readIndex(function nimbus.ID, g segment) ([]chunk, error) {
	content, err := os.ReadFile(g.indexPath())
	if err == nil {
		if chunks, err := decodeIndex(content, g.size); err == nil {
			return chunks, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := os.Open(g.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, _, _, err := scanSegment(file, function, &g)
	if err != nil {
		return nil, err
	}
	chunks := b.finish()
	_ = writeIndex(g, chunks) // it saves time only; the disk may be full
	return chunks, nil
}

// writeIndex stores the index of a finished segment.
func writeIndex(g segment, chunks []chunk) error {
	temp, err := os.CreateTemp(filepath.Dir(g.path), "*"+tempSuffix)
	if err != nil {
		return err
	}
	_, err = temp.Write(appendIndex(nil, g.size, chunks))
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), g.indexPath())
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
