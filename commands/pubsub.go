package commands

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Messages between clients, and from holdfast to clients. A message is a hint: it
// goes to those who ask for it at that moment, and is neither kept nor repeated.

// spaceOf returns the space that a command, or a subcommand of PUBSUB, is about.
func spaceOf(word []byte) space {
	switch string(appendLower(nil, word)) {
	case "psubscribe", "punsubscribe":
		return patterns
	case "ssubscribe", "sunsubscribe", "spublish", "shardchannels", "shardnumsub":
		return shards
	}
	return channels
}

// subscribe is SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE. It answers once for each
// name. The hub's mutex is held.
func subscribe(s *Session, args [][]byte) Reply {
	k := spaceOf(args[0])
	more := 0
	for _, name := range args[1:] {
		if !s.has(k, string(name)) {
			more += len(name) + subscriptionCost
		}
	}
	switch {
	case s.kept+more > maxSubscribed:
		return sayFailure(errSubscribing)
	case s.isClosed(): // it was forgotten, or will be: who closed it comes here next
		return sayFailure(errHungUp)
	}
	word := sayText(string(appendLower(nil, args[0])))
	answers := make([]Reply, len(args)-1)
	for i, name := range args[1:] {
		s.engine.hub.addLocked(s, k, string(name))
		answers[i] = sayPush(word, sayBytes(name), sayInt(s.counted(k)))
	}
	return Reply{kind: several, items: answers}
}

// unsubscribe is UNSUBSCRIBE, PUNSUBSCRIBE and SUNSUBSCRIBE. It answers once for
// each name, or with a null where there is none. The hub's mutex is held.
func unsubscribe(s *Session, args [][]byte) Reply {
	k, names := spaceOf(args[0]), args[1:]
	word := sayText(string(appendLower(nil, args[0])))
	if len(names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(s.names[k])) {
			names = append(names, []byte(name))
		}
	}
	if len(names) == 0 {
		return sayPush(word, Reply{}, sayInt(s.counted(k)))
	}
	answers := make([]Reply, len(names))
	for i, name := range names {
		s.engine.hub.removeLocked(s, k, string(name))
		answers[i] = sayPush(word, sayBytes(name), sayInt(s.counted(k)))
	}
	return Reply{kind: several, items: answers}
}

// toPost reads PUBLISH channel message, or SPUBLISH.
func toPost(args [][]byte) (p post, bad *Reply) {
	p = post{spaceOf(args[0]), string(args[1]), args[2]}
	if strings.HasPrefix(p.channel, reserved) {
		return p, &Reply{kind: failure, text: errOwnChannel}
	}
	return p, nil
}

// publish waits for the earlier commands of its session: who is told that a lock
// is free, after DEL in one pipeline, must find it free.
func publish(s *Session, args [][]byte) Reply {
	p, bad := toPost(args)
	if bad != nil {
		return *bad
	}
	return sayInt(int64(s.engine.hub.publish(p)))
}

// publishLater is PUBLISH in a script: the message is sent when what the script
// did is done, and dropped if that fails. The reply says how many would get it now.
func publishLater(tx *Tx, args [][]byte) Reply {
	p, bad := toPost(args)
	if bad != nil {
		return *bad
	}
	if tx.posted+p.cost() > maxScriptPosts {
		return sayFailure(errPublishing)
	}
	tx.posts, tx.posted = append(tx.posts, p), tx.posted+p.cost()
	return sayInt(int64(tx.engine.hub.count(p)))
}

// badPubsub words the refusal of too many arguments, as Redis does here only.
func badPubsub(word []byte) Reply {
	return sayFailure(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try PUBSUB HELP.", head(word, 128)))
}

// pubsubChannels is PUBSUB CHANNELS [pattern], or SHARDCHANNELS.
func pubsubChannels(tx *Tx, args [][]byte) Reply {
	if len(args) > 3 {
		return badPubsub(args[1])
	}
	var found listing
	for _, name := range tx.engine.hub.list(spaceOf(args[1])) {
		if len(args) == 3 && !glob(string(args[2]), name) {
			continue
		}
		if !found.add(sayText(name)) {
			return sayFailure(errReply)
		}
	}
	return sayArray(found.items...)
}

// pubsubCount is PUBSUB NUMSUB [channel ...], or SHARDNUMSUB.
func pubsubCount(tx *Tx, args [][]byte) Reply {
	names := args[2:]
	items := make([]Reply, 0, 2*len(names))
	for i, n := range tx.engine.hub.lookup(spaceOf(args[1]), names) {
		items = append(items, sayBytes(names[i]), sayInt(int64(n)))
	}
	return sayArray(items...)
}

func pubsubPatterns(tx *Tx, _ [][]byte) Reply {
	return sayInt(int64(len(tx.engine.hub.list(patterns))))
}
