import queue
import threading

_END = object()


class Pipeline:
    """Stations at work at the same time, each in a thread of its own.

    After an error of a station nothing more is done, and all that is under
    way is dropped; no thread ever waits for one that has ended.

    Args:
        stations: list of context managers that are functions too: they take
            an item and return it. They are entered in their threads.
        room: int, how many items may wait before a station.
    """

    def __init__(self, stations, room=2):
        self.error = None
        self._inbox = queue.Queue(room)
        self._threads = []
        inbox = self._inbox
        for station in stations:
            outbox = queue.Queue(room)
            if len(self._threads) + 1 == len(stations):
                outbox = None
            thread = threading.Thread(
                target=self._run,
                args=(station, inbox, outbox),
                name=f"stage {len(self._threads)}",
                daemon=True,
            )
            self._threads.append(thread)
            inbox = outbox
        for thread in self._threads:
            thread.start()

    def put(self, item):
        """Hands an item to the first station; waits until there is room."""
        self._inbox.put(item)

    def close(self):
        """Returns once all items are through."""
        self._inbox.put(_END)
        for thread in self._threads:
            thread.join()

    def _run(self, station, inbox, outbox):
        try:
            with station:
                self._work(station, inbox, outbox)
        except BaseException as error:
            self.error = self.error or error
            while (item := inbox.get()) is not _END:
                item.drop(error)
        if outbox is not None:
            outbox.put(_END)

    def _work(self, station, inbox, outbox):
        while (item := inbox.get()) is not _END:
            if self.error is not None:
                item.drop(self.error)
                continue
            try:
                item = station(item)
            except BaseException as error:
                item.drop(error)
                raise
            if outbox is not None:
                outbox.put(item)
            del item
