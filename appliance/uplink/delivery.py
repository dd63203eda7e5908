"""What the buffer hands out, as requests to the cloud: events in batches, media in pieces, each in its lane.

What each answer means for the message and for the breaker is the table in `docs/uplink.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from appliance.former import REASON, FormerOwners
from appliance.identity.credentials import Credentials
from appliance.uplink.client import CloudClient, Refused, Unreachable
from appliance.uplink.kept import ask, event_receipt, media_receipt
from appliance.uplink.pace import Pace
from appliance.uplink.upload import ChangedFile, MediaTicket, NotNow, Upload
from buffer.errors import MediaMissing, StoreError
from buffer.media import MediaStore
from buffer.message import Draft, Lane, Message, Priority
from buffer.store import Store
from buffer.uplink import Delivered, Outcome, Rejected, Retry, Untried, UplinkDown
from protocol.compression import CODING, WORTH_PACKING, pack
from protocol.event import BatchAnswer, EventAnswer, EventBatch, PendingMedia

log = logging.getLogger(__name__)

EVENT = "event"
MEDIA = "media"

MOST_BYTES = 256 * 1024
"""Of one request with several events, as it goes over the wire."""

_NOT_THE_MESSAGE = {401, 403, 404, 408, 429}
"""Answers that say something about us or the moment, not about the message: it is kept."""
_UNWELCOME = {401, 403, 404}
_BEFORE_SENDING = {"dns", "refused", "tls", "key"}
"""Faults of the way: there was no connection yet on which a message could have gone."""
_CREDENTIAL_PAUSES_S = (60.0, 300.0, 900.0)
_MOST_REFUSALS = 3
"""So often a message is sent alone when something that may not be the cloud refuses it."""
_MAKE_WAY_S = 10.0
"""So long a file waits between two pieces while smaller things are on their way."""
_LOOK_S = 0.05
_BLIND_TRIES = 6
"""So many parts of a batch may fail with 500 before the cloud itself is said to be ill."""


class Delivery:
    """The uplink of the drains. Claimed or not is asked at every call."""

    def __init__(
        self,
        client: CloudClient,
        store: Store,
        media: MediaStore,
        credentials: Callable[[], Credentials | None],
        uploaded: Callable[[int], None],
        pace: Pace | None = None,
        busy: Callable[[], bool] = lambda: False,
        backup: Callable[[], bool] = lambda: True,
        former: FormerOwners | None = None,
    ) -> None:
        """`uploaded` is told how many events the cloud has taken; `busy` says whether something smaller is on
        its way, which files give way to. While `backup` says no, files stay here."""
        self._busy = busy
        self._client = client
        self._store = store
        self._media = media
        self._credentials = credentials
        self._uploaded = uploaded
        self._backup = backup
        self._former = former or FormerOwners(store)
        self._pace = pace or Pace(client.time.system.monotonic)
        self._refusals_in_row = 0

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """One outcome per message. Raises `UplinkDown` when nothing at all could be delivered."""
        credentials = self._credentials()
        if credentials is None:
            raise UplinkDown("the station is not claimed", retry_after=_CREDENTIAL_PAUSES_S[0], counts=False)
        outcomes: dict[int, Outcome] = {}
        for message in batch:
            if await self._former.has(message.id, credentials.device_id):
                outcomes[message.id] = Rejected(REASON)
        ours = [message for message in batch if message.id not in outcomes]
        try:
            events = [message for message in ours if message.kind == EVENT]
            if events:
                await self._events(credentials, events, outcomes)
            for message in ours:
                if message.kind != EVENT:
                    outcomes[message.id] = await self._other(credentials, message)
        except (Unreachable, Refused) as error:
            if not outcomes:
                raise self._down(error) from error
            log.info("the rest of the batch waits: %s", error)
        self._refusals_in_row = 0
        return [outcomes.get(message.id, Untried()) for message in batch]

    async def kept(self, receipts: Sequence[str]) -> Sequence[bool]:
        """Whether the cloud still has these. Raises `UplinkDown` when it cannot be asked."""
        credentials = self._credentials()
        if credentials is None:
            raise UplinkDown("the station is not claimed", counts=False)
        try:
            return await ask(self._client, credentials, receipts)
        except (Unreachable, Refused) as error:
            raise UplinkDown(str(error), counts=False) from error

    async def _events(
        self, credentials: Credentials, messages: Sequence[Message], outcomes: dict[int, Outcome]
    ) -> None:
        try:
            await self._batch(credentials, messages, outcomes)
        except Refused as refusal:
            if refusal.status == 500 and len(messages) == 1 and await self._suspects(messages[0]):
                # It is under suspicion: without company nothing is proved, neither against it nor the cloud.
                outcomes[messages[0].id] = _again(messages[0], refusal)
            elif refusal.status == 500 and len(messages) > 1:
                await self._search(credentials, messages, outcomes, refusal)
            elif _is_about_the_message(refusal):
                await self._apart(credentials, messages, outcomes, refusal)
            else:
                raise

    async def _batch(
        self, credentials: Credentials, messages: Sequence[Message], outcomes: dict[int, Outcome]
    ) -> None:
        body = msgspec.json.encode(EventBatch(events=[msgspec.Raw(message.payload) for message in messages]))
        headers = {}
        if len(body) >= WORTH_PACKING:
            body, headers = await asyncio.to_thread(pack, body), {"content-encoding": CODING}
        if len(body) > MOST_BYTES and len(messages) > 1:
            for half in _halves(messages):
                await self._batch(credentials, half, outcomes)
            return
        await self._pace.turn(urgent=any(message.priority is Priority.CRITICAL for message in messages))
        path = credentials.path(credentials.endpoints.events)
        reply = await self._client.send("POST", path, body, headers=headers)
        answers = reply.read(BatchAnswer).results
        if len(answers) != len(messages):
            raise Unreachable("connect", "The cloud answered for another number of events.")
        for message, answer in zip(messages, answers, strict=True):
            outcomes[message.id] = await self._event_outcome(message, answer)

    async def _suspects(self, message: Message) -> bool:
        """Whether a 500 is this message's doing rather than the cloud's.

        A critical one goes alone and before all others, so none of them can prove that the cloud is well: it
        would stop them all. Then the cloud is asked.
        """
        if message.retry_count:
            return True
        critical = message.priority is Priority.CRITICAL
        return critical and await self._client.unhealthy(self._client.endpoints.current) is None

    async def _apart(
        self,
        credentials: Credentials,
        messages: Sequence[Message],
        outcomes: dict[int, Outcome],
        refusal: Refused,
    ) -> None:
        """A batch was refused as a whole: halves find the one that is to blame."""
        if len(messages) == 1:
            outcomes[messages[0].id] = _refused_alone(messages[0], refusal)
            return
        for half in _halves(messages):
            await self._events(credentials, half, outcomes)

    async def _search(
        self,
        credentials: Credentials,
        messages: Sequence[Message],
        outcomes: dict[int, Outcome],
        refusal: Refused,
    ) -> None:
        """500 for a batch: either the cloud is ill, or one message makes it fail and the rest would go.

        A part that goes through is the proof that the cloud is well. Raises `refusal` without such a proof.
        """
        parts, guilty, failures, alive = deque(_halves(messages)), list[tuple[Message, Refused]](), 0, False
        while parts:
            part = parts.popleft()
            try:
                await self._batch(credentials, part, outcomes)
                alive = True
            except Refused as again:
                if again.status != 500:
                    raise
                failures += 1
                if not alive and failures >= _BLIND_TRIES:
                    raise
                if len(part) == 1:
                    guilty.append((part[0], again))
                else:
                    parts.extend(_halves(part))
        if not alive:
            raise refusal
        for message, answer in guilty:
            outcomes[message.id] = _refused_alone(message, answer)

    async def _event_outcome(self, message: Message, answer: EventAnswer) -> Outcome:
        if answer.status == "rejected":
            return Rejected(f"{answer.code or ''} {answer.reason or ''} {answer.detail or ''}".strip())
        for pending in answer.media_pending if self._backup() else ():
            await self._queue_media(message, answer.event_id, pending)
        self._uploaded(1)
        return Delivered(event_receipt(answer.kept_as or answer.event_id))

    async def _queue_media(self, message: Message, event_id: str, pending: PendingMedia) -> None:
        """The file's own message is durable before the event's message goes."""
        reference = next((each for each in message.media if each.sha256 == pending.sha256), None)
        if reference is None:
            log.warning("the cloud asks for a file that event %s does not have", event_id)
            return
        ticket = MediaTicket(event_id, reference.sha256, reference.size, reference.mime, reference.name)
        await self._store.put(
            Draft(
                kind=MEDIA,
                payload=msgspec.json.encode(ticket),
                priority=Priority.NORMAL,
                idempotency_key=f"media:{event_id}:{reference.sha256}",
                media=(reference,),
                lane=Lane.BULK,
            )
        )

    async def _other(self, credentials: Credentials, message: Message) -> Outcome:
        if message.kind != MEDIA:
            return Rejected(f"no way to send a message of kind {message.kind!r}")
        upload = Upload(self._client, self._media, f"/v1/devices/{credentials.device_id}/uploads")
        try:
            ticket = msgspec.json.decode(message.payload, type=MediaTicket)
            await self._pace.turn()
            await upload.run(ticket, make_way=self._make_way)
        except (ChangedFile, msgspec.MsgspecError) as error:
            return Rejected(str(error))
        except NotNow as reason:
            return Retry(str(reason))
        except MediaMissing as error:
            return Rejected(f"the file is gone: {error}")
        except StoreError as error:
            return Retry(f"the file cannot be read: {error}")
        except Refused as refusal:
            if not _is_about_the_message(refusal):
                raise
            return _refused_alone(message, refusal)
        return Delivered(media_receipt(ticket.sha256))

    async def _make_way(self) -> None:
        """A small thing on the same link goes first; a link that is always busy is shared."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAKE_WAY_S):
                while self._busy():  # noqa: ASYNC110 - the other drain has no event for the end of a request
                    await asyncio.sleep(_LOOK_S)

    def _down(self, error: Unreachable | Refused) -> UplinkDown:
        """What a failure of the whole request says about the endpoint."""
        if isinstance(error, Unreachable):
            # A clock that may be years wrong cannot judge a certificate; the cloud is not to blame.
            early = error.fault == "tls" and not self._client.time.system.quality().synchronized
            sent = error.fault not in _BEFORE_SENDING
            return UplinkDown(str(error), counts=not early, shared=error.fault == "refused", sent=sent)
        if error.status in _UNWELCOME:
            self._refusals_in_row += 1
            longest = len(_CREDENTIAL_PAUSES_S)
            pause = error.retry_after or _CREDENTIAL_PAUSES_S[min(self._refusals_in_row, longest) - 1]
            reason = f"the cloud does not accept this station: {error}"
            return UplinkDown(reason, retry_after=pause, counts=False)
        return UplinkDown(
            str(error), retry_after=error.retry_after, counts=error.status != 429, shared=error.status >= 429
        )


def _is_about_the_message(refusal: Refused) -> bool:
    return 400 <= refusal.status < 500 and refusal.status not in _NOT_THE_MESSAGE


def _refused_alone(message: Message, refusal: Refused) -> Outcome:
    """The cloud's own refusal is final; a bare status may come from a proxy and is tried again."""
    final = refusal.status < 500 and bool(refusal.code or refusal.reason)
    if final or message.retry_count + 1 >= _MOST_REFUSALS:
        return Rejected(str(refusal))
    return _again(message, refusal)


def _again(message: Message, refusal: Refused) -> Retry:
    """Another try on the ladder; said once, because the breaker stays closed and nothing else would tell."""
    if not message.retry_count:
        log.warning("%s waits for another try: %s", message.idempotency_key or message.uuid, refusal)
    return Retry(str(refusal), proves=refusal.status < 500)


def _halves(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    middle = len(messages) // 2
    return messages[:middle], messages[middle:]
