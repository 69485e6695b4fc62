"""Runs scim2-tester and scim2-client against a SCIM service: scim_conformance.py BASE_URL TOKEN.

Prints one line per check and ends with "N passed, N failed". Exits with 1 if a check failed.
Needs: pip install scim2-tester "scim2-client[httpx2]"
"""

import sys
import uuid

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import SearchRequest
from scim2_tester import Status, check_server

passed = failed = 0


def report(ok, name, reason=""):
    global passed, failed
    passed += ok
    failed += not ok
    print(f"{'pass' if ok else 'FAIL'}  {name}{': ' + reason if reason else ''}")


def run_tester(client):
    for result in check_server(client):
        name = f"{result.resource_type + ' ' if result.resource_type else ''}{result.title}"
        reason = " ".join((result.reason or "").split())
        if result.status == Status.SKIPPED:
            print(f"skip  {name}: {reason}")
        else:
            report(result.status in (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE), name, reason)


def run_client(client):
    """What an identity provider does, with the typed client, which validates each answer by the schemas that the service publishes."""
    User = client.get_resource_model("User")
    Group = client.get_resource_model("Group")
    name = f"{uuid.uuid4()}@example.com"
    user = client.create(User(user_name=name, active=True, external_id=str(uuid.uuid4())))
    report(user.active is True and user.meta.location.endswith(f"/Users/{user.id}"), "client: create a user")

    found = client.query(User, query_parameters=SearchRequest(filter=f'userName eq "{name.upper()}"'))
    report(found.total_results == 1 and found.resources[0].id == user.id, "client: find a user by userName, in another case")

    group = client.create(Group(display_name=f"group {uuid.uuid4()}", members=[Group.Members(value=user.id)]))
    report([member.value for member in group.members] == [user.id], "client: create a group with a member")

    shown = client.query(User, user.id)
    report([g.value for g in shown.groups] == [group.id], "client: the user shows the group")

    by_member = client.query(Group, query_parameters=SearchRequest(filter=f'members[value eq "{user.id}"]'))
    report([g.id for g in by_member.resources] == [group.id], "client: find groups by member")

    user.active = False
    replaced = client.replace(user)
    report(replaced.active is False, "client: deactivate a user with PUT")

    page = client.query(User, query_parameters=SearchRequest(start_index=1, count=1))
    report(page.items_per_page == 1 and page.total_results >= 1, "client: a page of one user")

    client.delete(User, user.id)
    report(client.query(Group, group.id).members in (None, []), "client: a deleted user is a member no more")
    client.delete(Group, group.id)


def main():
    base_url, token = sys.argv[1], sys.argv[2]
    http = httpx2.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"})
    client = SyncSCIMClient(http)
    run_tester(client)
    client = SyncSCIMClient(http)
    client.discover()
    try:
        run_client(client)
    except Exception as error:  # A check that cannot go on is one that failed.
        report(False, "client", f"{type(error).__name__}: {error}")
    unauthorized = httpx2.get(f"{base_url}/Users", headers={"Authorization": "Bearer wrong"})
    report(unauthorized.status_code == 401, "a wrong token is refused", str(unauthorized.status_code))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
