// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Moments of policies, which are full minutes, without waiting for one.
enum TimesScript {
    /// `soon 10` makes a time zone `Soon` whose clocks come to a full minute in ten seconds, and sets `at` to that minute and
    /// `end` to its moment, in seconds since 1970. Zones are read from the working directory from then on; an agent reads them
    /// there that was started with `TZDIR=$PWD`.
    static let soon = """
        cat >zone.py <<'X'
        import struct, sys, time
        end = int(time.time()) + int(sys.argv[1]); ahead = -end % 60
        head = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
        body = struct.pack(">lbb", ahead, 0, 0) + b"TTT\\0"
        open("Soon", "wb").write((head + body) * 2 + b"\\n<TTT>-0:00:%02d\\n" % ahead)
        print(time.strftime("%Y-%m-%dT%H:%M", time.gmtime(end + ahead)), end)
        X
        soon() { read at end < <(python3 zone.py $1); export TZDIR=$PWD; }

        """
}
