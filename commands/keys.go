package commands

// What reads or ends locks by name.

func get(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[1])
	text, ok := s.get()
	switch {
	case !ok:
		return sayFailure(errWrongType)
	case !s.held:
		return Reply{}
	}
	return sayBytes(text)
}

func mget(tx *Tx, args [][]byte) Reply {
	values := make([]Reply, len(args)-1)
	for i, key := range args[1:] {
		if s := tx.at(key); s.held && s.shape == textShape { // another type is a null here, as in Redis
			values[i] = sayBytes(s.text)
		}
	}
	return sayArray(values...)
}

func getdel(tx *Tx, args [][]byte) Reply {
	reply := get(tx, args)
	if reply.kind == bulk {
		s := tx.at(args[1])
		tx.seize(s)
		tx.drop(s)
	}
	return reply
}

func strlen(tx *Tx, args [][]byte) Reply {
	text, ok := tx.at(args[1]).get()
	if !ok {
		return sayFailure(errWrongType)
	}
	return sayInt(int64(len(text)))
}

func getrange(tx *Tx, args [][]byte) Reply {
	start, ok1 := parseInt(args[2])
	end, ok2 := parseInt(args[3])
	if !ok1 || !ok2 {
		return sayFailure(errNotInteger)
	}
	text, ok := tx.at(args[1]).get()
	if !ok {
		return sayFailure(errWrongType)
	}
	length := int64(len(text))
	if start < 0 && end < 0 && start > end {
		return sayBytes(nil)
	}
	start, end = fromEnd(start, length), min(fromEnd(end, length), length-1)
	if start > end {
		return sayBytes(nil)
	}
	return sayBytes(text[start : end+1])
}

// fromEnd turns an index that counts from the end into one that does not.
func fromEnd(i, length int64) int64 {
	if i < 0 {
		i += length
	}
	return max(i, 0)
}

// exists counts a name as often as it is said.
func exists(tx *Tx, args [][]byte) Reply {
	var n int64
	for _, key := range args[1:] {
		if tx.at(key).held {
			n++
		}
	}
	return sayInt(n)
}

func del(tx *Tx, args [][]byte) Reply {
	var n int64
	for _, key := range args[1:] {
		if s := tx.at(key); s.held {
			tx.seize(s)
			tx.drop(s)
			n++
		}
	}
	return sayInt(n)
}

func typeOf(tx *Tx, args [][]byte) Reply { return sayStatus(tx.at(args[1]).typeName()) }

func (s *slot) typeName() string {
	if !s.held {
		return "none"
	}
	return shapes[s.shape].name
}
