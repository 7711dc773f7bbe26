"""An ERP that a test can make refuse, lose its words or hold something else: what stub.lua asks, in memory."""
import http.server
import json
import threading
import urllib.parse


class StubErp:
    def __init__(self):
        self.documents = {}     # our id -> {'account', 'total'}
        self.unknown = set()    # accounts it refuses
        self.other_total = {}   # account -> the total it books instead of ours
        self.silent = set()     # accounts whose documents it takes without storing or answering
        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), self._handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()

    def total_of(self, account):
        return [row['total'] for row in self.documents.values() if row['account'] == account]

    def _handler(self):
        erp = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                row = erp.documents.get(urllib.parse.unquote(self.path.removeprefix('/d/')))
                self.answer(200 if row else 404, row or {})

            def do_POST(self):
                row = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                account = row['account']
                if account in erp.silent:
                    self.close_connection = True
                elif account in erp.unknown:
                    self.answer(422, {'error': 'no account ' + account})
                elif row['id'] in erp.documents:
                    self.answer(409, {'error': 'created twice: ' + row['id']})
                else:
                    row['total'] = erp.other_total.get(account, row['total'])
                    erp.documents[row.pop('id')] = row
                    self.answer(201, {})

            def answer(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        return Handler
